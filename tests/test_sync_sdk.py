"""The forms of calling an SDK: where the call is made, whom it stops, what reaches the upstream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from helpers import no_leftovers
from sdk import sdk, spoiled

from lab_apps.instruments.held import answered_meanwhile
from lab_apps.instruments.victims import Route
from lab_apps.practices.sync_sdk import create_app
from lab_apps.practices.sync_sdk.chats import Answer, ask
from lab_apps.practices.sync_sdk.clients import new_client, shared

ON_THREAD, ON_LOOP = "worker thread", "event loop"
CALLED_ON = {
    "/chat/blocking": ON_LOOP,
    "/chat/threadpool": ON_THREAD,
    "/chat/def": ON_THREAD,
    "/chat/own-limiter": ON_THREAD,
    "/chat/async": ON_LOOP,
    "/built/async-def": ON_THREAD,
    "/built/def": ON_THREAD,
    "/built/async-client": ON_LOOP,
    "/built/options": ON_THREAD,
    "/leave/watched": ON_LOOP,
    "/faults/def": ON_THREAD,
    "/faults/narrow": ON_LOOP,
}
VICTIMS = {"async": Route("/victim", None), "def": Route("/victim-def", None)}


def check_answers(make: Callable[[str], FastAPI] = create_app) -> None:
    with sdk(make) as it:
        for path, where in CALLED_ON.items():
            answer = it.client.get(path, params={"latency_ms": 0})
            assert answer.json() == {"answer": "pong", "called_on": where}, path


def test_answers() -> None:
    check_answers()


async def blocks(request: Request, latency_ms: float) -> Answer:
    return ask(shared(request).blocking, latency_ms)


@pytest.mark.parametrize("path", ["/chat/threadpool", "/chat/own-limiter", "/built/async-def"])
def test_check_sees_a_call_on_the_loop(path: str) -> None:
    with pytest.raises(AssertionError, match=path):
        check_answers(spoiled(path, blocks))


def check_held(path: str, answered: dict[str, int], make: Any = create_app) -> None:
    """4 calls of 400 ms, 4 threads: who of 5 each is answered meanwhile."""
    with sdk(make, tokens=4) as it:
        holder = Route(f"{path}?latency_ms=400", None)
        one = answered_meanwhile(it.server, holder, VICTIMS, hold_ms=400, holders=4)
        assert not one.trial.errors
        assert one.answered == answered, one.answered


HELD = {
    "/chat/blocking": {"async": 0, "def": 0},
    "/chat/threadpool": {"async": 5, "def": 0},
    "/chat/def": {"async": 5, "def": 0},
    "/chat/own-limiter": {"async": 5, "def": 5},
    "/chat/async": {"async": 5, "def": 5},
}


@pytest.mark.parametrize("path", HELD)
def test_who_is_answered_meanwhile(path: str) -> None:
    check_held(path, HELD[path])


async def without_limiter(request: Request, latency_ms: float) -> Answer:
    return await run_in_threadpool(ask, shared(request).blocking, latency_ms)


@pytest.mark.parametrize(
    ("path", "broken", "seen"),
    [
        ("/chat/own-limiter", without_limiter, "'async': 5, 'def': 0"),
        ("/chat/async", blocks, "'async': 0, 'def': 0"),
    ],
)
def test_check_sees_who_waits(path: str, broken: Callable[..., Any], seen: str) -> None:
    with pytest.raises(AssertionError, match=seen):
        check_held(path, HELD[path], spoiled(path, broken))


OPENED = {
    "/chat/threadpool": 1,
    "/chat/async": 1,
    "/built/options": 1,
    "/built/async-def": 5,
    "/built/def": 5,
    "/built/async-client": 5,
}


def check_connections(make: Callable[[str], FastAPI] = create_app) -> None:
    """Connections opened at the upstream by five calls in a row."""
    for path, opened in OPENED.items():
        with sdk(make) as it:
            more = it.calls(f"{path}?latency_ms=0", 5)
            assert (path, more["begun"], more["connections"]) == (path, 5, opened)


def test_connections() -> None:
    check_connections()


def not_built(request: Request, latency_ms: float) -> Answer:
    return ask(shared(request).blocking, latency_ms)


async def built_instead(request: Request, latency_ms: float) -> Answer:
    with new_client(shared(request).url) as client:
        return await run_in_threadpool(ask, client, latency_ms)


@pytest.mark.parametrize(
    ("path", "broken"), [("/built/def", not_built), ("/built/options", built_instead)]
)
def test_check_sees_connections(path: str, broken: Callable[..., Any]) -> None:
    with pytest.raises(AssertionError, match=path):
        check_connections(spoiled(path, broken))


def test_context_goes_in_and_not_out() -> None:
    with sdk() as it:
        seen = it.client.get("/context").json()
        assert seen == {"thread saw": "the route's", "route saw after": "the route's"}


def test_narrow_client_has_two_connections() -> None:
    with sdk() as it:
        more = it.calls("/faults/narrow?latency_ms=0", 3)
        assert (more["begun"], more["connections"]) == (3, 1)


def test_nothing_is_left() -> None:
    with sdk() as it:  # imports what the first call imports
        it.client.get("/chat/def?latency_ms=0")
    with no_leftovers(), sdk() as it:
        for path in CALLED_ON:
            it.client.get(f"{path}?latency_ms=0").raise_for_status()
