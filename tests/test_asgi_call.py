"""A request without a server: the app's own answer, counted, and refused where it isn't that."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from lab_apps.instruments.asgi_call import requesting
from lab_apps.instruments.server import serve

APP = "lab_apps.practices.unions:app"
SPENT: list[tuple[str, bytes]] = []


async def echoing(scope: Any, receive: Any, send: Any) -> None:
    """Answer 201 with the body in two parts."""
    body = (await receive())["body"]
    assert dict(scope["headers"])[b"content-length"] == b"%d" % len(body)
    SPENT.append((scope["path"], body))
    await send({"type": "http.response.start", "status": 201, "headers": []})
    await send({"type": "http.response.body", "body": body[:3], "more_body": True})
    await send({"type": "http.response.body", "body": body[3:]})


async def waiting(*_: Any) -> None:
    """Wait for what only an event loop can bring."""
    await asyncio.get_running_loop().create_future()


async def pausing(*_: Any) -> None:
    """Give the loop a turn before the answer."""
    await asyncio.sleep(0)


def test_body_and_path_arrive_and_all_parts_are_counted() -> None:
    request = requesting(f"{__name__}:echoing", "/there", b'{"a":1}', 201)
    assert [request(), request()] == [7, 7]
    assert SPENT == [("/there", b'{"a":1}')] * 2


def test_another_status_is_an_error() -> None:
    with pytest.raises(ValueError, match="/there answered 201, not 200"):
        requesting(f"{__name__}:echoing", "/there", b"{}")()


def test_an_app_that_waits_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="waits for something"):
        requesting(f"{__name__}:pausing", "/", b"{}")()
    with pytest.raises(RuntimeError, match="no running event loop"):
        requesting(f"{__name__}:waiting", "/", b"{}")()


def test_as_many_bytes_as_from_a_server() -> None:
    body = b'{"items":[0,0]}'
    with serve(APP) as server:
        path, headers = "/batches/smart-32", {"content-type": "application/json"}
        answer = httpx.post(server.url + path, content=body, headers=headers)
    assert requesting(APP, path, body, 422)() == len(answer.content)
