"""An upstream that isn't there: the answer is 502, from a stream too, before it has begun."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import anyio
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from openai import APIError
from openai._base_client import BaseClient
from sdk import sdk, spoiled
from test_sync_sdk import CALLED_ON

from lab_apps.instruments.server import listener
from lab_apps.practices.sync_sdk import create_app
from lab_apps.practices.sync_sdk.chats import Answer, ask_async
from lab_apps.practices.sync_sdk.clients import shared
from lab_apps.practices.sync_sdk.faults import upstream_failed
from lab_apps.practices.sync_sdk.streams import begin, text

STREAMS = ("/stream/threads", "/stream/closing", "/stream/async")


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK tries again at once."""
    monkeypatch.setattr(BaseClient, "_calculate_retry_timeout", lambda *_: 0.0)


def check_dead(make: Callable[[str], FastAPI] = create_app, *paths: str) -> None:
    with listener() as bound, sdk(lambda _: make(nobody(bound))) as it:  # bound, not listening
        for path in paths or (*CALLED_ON, *STREAMS):
            with it.client.stream("GET", f"{path}?latency_ms=0") as answer:
                assert answer.status_code == 502, (path, answer.status_code)
                assert answer.read() == b'{"error":"APIConnectionError"}', path


def nobody(sock: Any) -> str:
    """The address of a socket that is bound and doesn't listen."""
    return f"http://127.0.0.1:{sock.getsockname()[1]}"


def test_dead_upstream() -> None:
    check_dead()


async def in_a_group(request: Request, latency_ms: float) -> Answer:
    async with anyio.create_task_group():
        answer = await ask_async(shared(request).awaiting, latency_ms)
    return answer  # noqa: RET504


def begun_late(request: Request, latency_ms: float) -> StreamingResponse:
    def passed_on() -> Iterator[str]:
        for chunk in begin(shared(request).blocking, 1, latency_ms):
            yield text(chunk)

    return StreamingResponse(passed_on(), media_type="text/plain")


@pytest.mark.parametrize(
    ("path", "broken", "status"),
    [("/leave/watched", in_a_group, 500), ("/stream/threads", begun_late, 200)],
)
def test_check_sees_no_502(path: str, broken: Callable[..., Any], status: int) -> None:
    def make(url: str) -> FastAPI:
        app = spoiled(path, broken)(url)
        app.add_exception_handler(APIError, upstream_failed)
        return app

    with pytest.raises(AssertionError, match=f"'{path}', {status}"):
        check_dead(make, path)
