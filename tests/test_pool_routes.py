"""Who holds the pool's threads starves who needs one; other pools starve nobody. All counted."""

from __future__ import annotations

import os
import threading
from typing import Any

import anyio.to_thread
import httpx
import pytest
from specimens import LOOPS, spoiled

from lab_apps.instruments.held import answered_meanwhile
from lab_apps.instruments.load import send
from lab_apps.instruments.schedule import closed
from lab_apps.instruments.server import App, serve
from lab_apps.instruments.victims import Route
from lab_apps.instruments.wire import Stream
from lab_apps.practices import async_routes
from lab_apps.practices.async_routes import pool

HELD = b'{"held":"yes"}'
VICTIMS = {
    "async": Route("/victim", b'{"victim":"served","ran_on":"event loop"}'),
    "def": Route("/victim-def", b'{"victim":"served","ran_on":"worker thread"}'),
    "def dependency": Route("/victim-dependency", b'{"victim":"served"}'),
    "file": Route("/hops/file", bytes(2**20)),
}
HOLDERS = ["/hold/route", "/hold/dependency", "/hold/background", "/hold/stream"]
SPARING = ["/to-thread-ping", "/own-limiter-ping"]
ALL = {"async": 5, "def": 5, "def dependency": 5, "file": 5}
ONLY_ASYNC = {"async": 5, "def": 0, "def dependency": 0, "file": 0}


def check_starved(path: str, answered: dict[str, int], app: App = async_routes.app) -> None:
    """All of 4 threads held for 350 ms: who is answered before that is over, of 5 each."""
    holder = Route(f"{path}?hold_ms=350", HELD)
    with serve(app, tokens=4) as server:
        held = answered_meanwhile(server, holder, VICTIMS, hold_ms=350, holders=4)
    assert held.trial.errors == {}
    assert held.answered == answered


@pytest.mark.parametrize("path", HOLDERS)
def test_who_holds_the_threads_starves_the_others(path: str) -> None:
    check_starved(path, ONLY_ASYNC)


@pytest.mark.parametrize("path", SPARING)
def test_other_pools_starve_nobody(path: str) -> None:
    check_starved(path, ALL)


async def awaits(hold_ms: float) -> dict[str, str]:
    await anyio.sleep(hold_ms / 1e3)
    return pool.HELD


async def in_the_pool(hold_ms: float) -> dict[str, str]:
    return await anyio.to_thread.run_sync(pool.hold_route, hold_ms)


def test_check_sees_who_holds_no_thread_and_who_does() -> None:
    with pytest.raises(AssertionError):
        check_starved("/hold/route", ONLY_ASYNC, spoiled("/hold/route", awaits))
    with pytest.raises(AssertionError):
        check_starved("/own-limiter-ping", ALL, spoiled("/own-limiter-ping", in_the_pool))


def check_threads_of_the_loop(app: App, loop: Any = "auto") -> None:
    """`asyncio.to_thread` has min(32, cores + 4) threads, whatever AnyIO has."""
    cores = getattr(os, "process_cpu_count", os.cpu_count)() or 1
    number = min(32, cores + 4)

    def threads() -> int:
        names = [thread.name for thread in threading.enumerate()]
        return sum(name.startswith(f"{server.loop}_") for name in names)

    users = 2 * number + 1
    calls = Stream("calls", "/to-thread-ping?hold_ms=50", closed(users, requests=users), HELD)
    with serve(app, loop=loop, tokens=4) as server:
        assert threads() == 0
        assert send(server.url, calls, warm_up=0).errors == {}
        assert threads() == number
    assert threads() == 0


@pytest.mark.parametrize("loop", LOOPS)
def test_threads_of_the_loop(loop: Any) -> None:
    check_threads_of_the_loop(async_routes.app, loop)


def test_check_sees_threads_of_another_pool() -> None:
    with pytest.raises(AssertionError):
        check_threads_of_the_loop(spoiled("/to-thread-ping", pool.own_limiter_ping))


@pytest.mark.parametrize("loop", LOOPS)
def test_limiter_serves_one_loop_after_another(loop: Any) -> None:
    """It is made with the module, before any loop; and more calls wait for it than it has room."""
    calls = Stream("calls", "/own-limiter-ping?hold_ms=5", closed(60, requests=120), HELD)
    for _ in range(2):
        with serve(async_routes.app, loop=loop) as server:
            assert send(server.url, calls).errors == {}
        assert pool.LIMITER.borrowed_tokens == 0


@pytest.mark.parametrize("size", [0, 2**10, 2**20 + 1])
def test_upload_is_received_whole(size: int) -> None:
    with serve(async_routes.app) as server:
        answer = httpx.post(f"{server.url}/victim-upload", files={"file": bytes(size)})
    assert answer.json() == {"received": size}
