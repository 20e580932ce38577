"""What becomes of a request whose client has left, on both event loops; and of one who stays."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from fastapi import Request
from fastapi.responses import StreamingResponse
from helpers import wait_until
from specimens import LOOPS, spoiled

from lab_apps.instruments.server import App, serve
from lab_apps.practices import async_routes
from lab_apps.practices.async_routes import leaving

LEFT = {"await": "finished", "def": "finished", "stream": "cancelled", "asks": "noticed"}
STAYED = dict.fromkeys(LEFT, "finished")


def check_left(app: App, loop: Any = "auto") -> None:
    """Four clients leave after 100 ms of calls of 300 ms; the fates long after that."""
    with serve(app, loop=loop) as server:
        clients = []
        for name in LEFT:
            clients.append(socket.create_connection(("127.0.0.1", int(server.url[17:]))))
            request = f"GET /leave/{name}?hold_ms=300 HTTP/1.1\r\nHost: lab\r\n\r\n"
            clients[-1].sendall(request.encode())
        time.sleep(0.1)
        for client in clients:
            client.close()

        def fates() -> Any:
            return httpx.get(f"{server.url}/leave/fates").json()

        assert wait_until(lambda: fates().get("def") == fates().get("await") == "finished", 5)
        time.sleep(0.35)  # the stream and the asking one, too, would be through
        assert fates() == LEFT


def check_stayed(app: App, loop: Any = "auto") -> None:
    with serve(app, loop=loop) as server, httpx.Client(base_url=f"{server.url}/leave") as client:
        assert client.get("/fates").json() == {}
        answers = {name: client.get(f"/{name}?hold_ms=30").text for name in LEFT}
        assert answers == {"await": "null", "def": "null", "stream": "first", "asks": "null"}
        assert client.get("/fates").json() == STAYED


@pytest.mark.parametrize("loop", LOOPS)
def test_client_that_leaves(loop: Any) -> None:
    check_left(async_routes.app, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_client_that_stays(loop: Any) -> None:
    check_stayed(async_routes.app, loop)


async def never_asks(request: Request, hold_ms: float) -> None:
    await leaving.awaiting(request.app.state.fates, "asks", hold_ms)


async def not_a_stream(request: Request, hold_ms: float) -> None:
    await leaving.awaiting(request.app.state.fates, "stream", hold_ms)


async def stream_that_blocks(request: Request, hold_ms: float) -> StreamingResponse:
    async def pieces() -> AsyncIterator[str]:
        yield "first"
        time.sleep(hold_ms / 1e3)  # noqa: ASYNC251
        request.app.state.fates["stream"] = "finished"

    return StreamingResponse(pieces())


@pytest.mark.parametrize(
    ("name", "broken"),
    [("asks", never_asks), ("stream", not_a_stream), ("stream", stream_that_blocks)],
)
def test_check_sees_other_fates(name: str, broken: Callable[..., Any]) -> None:
    with pytest.raises(AssertionError):
        check_left(spoiled(f"/leave/{name}", broken))


async def forgets(request: Request) -> None:
    pass


def test_check_sees_a_fate_that_is_not_noted() -> None:
    with pytest.raises(AssertionError):
        check_stayed(spoiled("/leave/def", forgets))
