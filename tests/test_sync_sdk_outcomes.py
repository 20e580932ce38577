"""What the SDK does by itself, and what of a call is left when the client has gone."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from fastapi import Request
from fastapi.concurrency import iterate_in_threadpool, run_in_threadpool
from fastapi.responses import StreamingResponse
from helpers import at_once, wait_until
from sdk import Sdk, sdk, spoiled

from lab_apps.instruments.held import answered_meanwhile
from lab_apps.instruments.hops import pool_hops
from lab_apps.instruments.load import send
from lab_apps.instruments.victims import Route
from lab_apps.instruments.wire import Stream
from lab_apps.practices.sync_sdk import create_app
from lab_apps.practices.sync_sdk.chats import Answer, ask_async, question
from lab_apps.practices.sync_sdk.clients import shared

CALLS = {  # what is asked: calls at the upstream, and the answer
    "status=400": (1, 502, "BadRequestError"),
    "status=500": (3, 502, "InternalServerError"),
    "status=500&retries=0": (1, 502, "InternalServerError"),
    "latency_ms=300&timeout_ms=100&retries=1": (2, 504, "APITimeoutError"),
}


@pytest.mark.parametrize("query", CALLS)
def test_calls_for_one_request(query: str) -> None:
    begun, status, error = CALLS[query]
    with sdk() as it:
        answer = it.client.get(f"/faults/def?{query}")
        assert (answer.status_code, answer.json()) == (status, {"error": error})
        assert (it.counts()["begun"], it.counts()["retries"]) == (begun, begun - 1)


@pytest.mark.parametrize(("retries", "answered"), [(2, 0), (0, 5)])
def test_pauses_hold_threads(retries: int, answered: int) -> None:
    with sdk(tokens=4) as it:
        failing = Route(f"/faults/def?status=500&retries={retries}", None)
        victims = {"def": Route("/victim-def", None)}
        one = answered_meanwhile(it.server, failing, victims, hold_ms=300, holders=4)
        assert one.answered == {"def": answered}


def crowd(it: Sdk, path: str, number: int) -> tuple[int, dict[str, int]]:
    """So many requests at once: how many are answered, and what the upstream was asked."""
    before = it.counts()
    stream = Stream("crowd", path, at_once(number), connections=number)
    trial = send(it.server.url, stream, warm_up=0)
    after = it.counts()
    more = {name: after[name] - before[name] for name in ("begun", "connections")}
    return int((trial.rows["error"] == "").sum()), more | {"at_once": after["at_once"]}


def test_two_connections() -> None:
    with sdk() as it:
        answered = crowd(it, "/faults/narrow?latency_ms=100", 8)
        assert answered == (8, {"begun": 8, "connections": 2, "at_once": 2})
        hasty = crowd(it, "/faults/narrow?latency_ms=200&retries=0&patience_ms=50", 8)
        assert hasty == (2, {"begun": 2, "connections": 0, "at_once": 2})


def test_threads_bound_what_is_under_way() -> None:
    with sdk() as it:  # the app's own 40, and the limiter's
        for path in ("/chat/def", "/chat/own-limiter"):
            answered, more = crowd(it, f"{path}?latency_ms=400", 41)
            assert (path, answered, more["at_once"]) == (path, 41, 40)
    with sdk(tokens=4) as it:
        for path, most in (("/chat/threadpool", 4), ("/chat/own-limiter", 12), ("/chat/async", 12)):
            answered, more = crowd(it, f"{path}?latency_ms=200", 12)
            assert (path, answered, more["at_once"]) == (path, 12, most)


LEFT = {  # what becomes of the call when the client leaves after 100 ms
    "/chat/threadpool": "finished",
    "/chat/def": "finished",
    "/chat/async": "finished",
    "/leave/watched": "left",
    "/stream/closing": "left",
    "/stream/async": "left",
}


def check_left(path: str, make: Any = create_app) -> None:
    query = "pieces=4&latency_ms=80" if "stream" in path else "latency_ms=250"
    with sdk(make) as it:
        with (
            contextlib.suppress(httpx.ReadTimeout),
            it.client.stream("GET", f"{path}?{query}", timeout=0.1) as answer,
        ):
            next(answer.iter_raw())

        def ended() -> bool:
            told = it.counts()
            return told["finished"] + told["left"] == told["begun"] == 1

        assert wait_until(ended, 2)
        assert it.counts()[LEFT[path]] == 1, it.counts()


@pytest.mark.parametrize("path", LEFT)
def test_client_that_leaves(path: str) -> None:
    check_left(path)


async def unwatched(request: Request, latency_ms: float) -> Answer:
    return await ask_async(shared(request).awaiting, latency_ms)


async def unclosed(request: Request, pieces: int, latency_ms: float) -> StreamingResponse:
    async def passed_on() -> AsyncIterator[str]:
        asked = question(latency_ms, pieces=pieces)
        create = shared(request).blocking.chat.completions.create
        kept.append(await run_in_threadpool(lambda: create(stream=True, **asked)))
        async for chunk in iterate_in_threadpool(kept[-1]):
            yield chunk.choices[0].delta.content or ""

    return StreamingResponse(passed_on(), media_type="text/plain")


kept: list[Any] = []  # or a garbage collection might close it


@pytest.mark.parametrize(
    ("path", "broken"), [("/leave/watched", unwatched), ("/stream/closing", unclosed)]
)
def test_check_sees_a_call_that_goes_on(path: str, broken: Callable[..., Any]) -> None:
    with pytest.raises(AssertionError, match="'finished': 1"):
        check_left(path, spoiled(path, broken))
    for stream in kept:
        stream.close()


STREAMS = {  # trips to the pool for 5 pieces, streams under way at once, connections for 3
    "blocking": (0, 1, 3),
    "threads": (7, 4, 3),
    "closing": (7, 4, 3),
    "async": (0, 4, 1),
}


@pytest.mark.parametrize("name", STREAMS)
def test_streams(name: str) -> None:
    path = f"/stream/{name}?pieces=5&latency_ms=30"
    with sdk() as it:
        with pool_hops() as trips:
            assert it.client.get(path).text == "0 1 2 3 4 "
        opened = 1 + it.calls(path, 2)["connections"]
        answered, more = crowd(it, path, 4)
        assert answered == 4
        assert (len(trips), more["at_once"], opened) == STREAMS[name]
