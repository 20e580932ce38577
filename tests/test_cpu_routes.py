"""Work that computes: the same result in every form, in the place it says, and what it holds."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from helpers import needs_proc, wait_until
from specimens import LOOPS, SPECIMEN, spawned, spoiled

from lab_apps.instruments.held import answered_meanwhile
from lab_apps.instruments.server import App, serve
from lab_apps.instruments.victims import Route
from lab_apps.practices import async_routes
from lab_apps.practices.async_routes import cpu

LOOP, THREAD = "event loop", "worker thread"
VARIANCES = {"inline": LOOP, "awaited": LOOP, "def": THREAD, "process": LOOP}
VICTIM = Route("/victim", b'{"victim":"served","ran_on":"event loop"}')


def check_results(app: App, loop: Any = "auto") -> None:
    """The variance of 0 .. n - 1 is (n² - 1)/12, exactly; the digest is that of 16 MiB of zeros."""
    zeros = sha256(bytes(2**24)).hexdigest()
    with serve(app, loop=loop) as server, httpx.Client(base_url=server.url, timeout=30) as client:
        for form, ran_on in VARIANCES.items():
            for count in (2, 1000, 4321):
                answer = client.get(f"/variance-{form}", params={"count": count})
                assert answer.json() == {"variance": (count**2 - 1) / 12, "ran_on": ran_on}
        for form, ran_on in (("inline", LOOP), ("def", THREAD)):
            assert client.get(f"/digest-{form}").json() == {"digest": zeros, "ran_on": ran_on}


@pytest.mark.parametrize("loop", LOOPS)
def test_results(loop: Any) -> None:
    check_results(async_routes.app, loop)


async def off_by_one(count: int) -> dict[str, float | str]:
    return await cpu.variance_inline(count + 1)


async def digest_elsewhere(request: Request) -> dict[str, str]:
    return await asyncio.to_thread(cpu.digest_def, request)


@pytest.mark.parametrize(
    ("path", "broken"),
    [
        ("/variance-process", off_by_one),
        ("/variance-def", cpu.variance_inline),
        ("/digest-inline", digest_elsewhere),
    ],
)
def test_check_sees_other_results(path: str, broken: Callable[..., Any]) -> None:
    with pytest.raises(AssertionError):
        check_results(spoiled(path, broken))


def test_default_counts_are_one_for_all_forms() -> None:
    with serve(async_routes.app) as server, httpx.Client(base_url=server.url, timeout=30) as client:
        found = {client.get(f"/variance-{form}").json()["variance"] for form in VARIANCES}
    assert found == {(70_000**2 - 1) / 12}


def check_process(app: FastAPI) -> None:
    """The pool's processes come with the first call, stay for the next, and go with the server."""
    before = spawned(os.getpid())
    with serve(app) as server, httpx.Client(base_url=server.url, timeout=30) as client:
        for form in ("inline", "awaited", "def"):
            assert client.get(f"/variance-{form}?count=9").is_success
        assert spawned(os.getpid()) == before
        assert client.get("/variance-process?count=9").is_success
        pids = spawned(os.getpid()) - before
        assert pids == set(app.state.pool._processes)
        assert len(pids) == 1
        assert client.get("/variance-process?count=9").is_success
        assert pids <= spawned(os.getpid())
    assert wait_until(lambda: spawned(os.getpid()) == before, 2)


@needs_proc
def test_process() -> None:
    check_process(async_routes.app)


@needs_proc
def test_check_sees_work_in_this_process() -> None:
    with pytest.raises(AssertionError):
        check_process(spoiled("/variance-process", cpu.variance_inline))


def check_held(path: str, answered: int) -> None:
    """How many of 5 others are answered while that computes, in a server process."""
    with serve(SPECIMEN, where="process") as server:
        assert httpx.get(f"{server.url}{path}?count=9", timeout=30).is_success
        work = Route(f"{path}?count=5000000", None)
        held = answered_meanwhile(server, work, {"others": VICTIM}, hold_ms=None)
    assert held.trial.errors == {}
    assert held.answered == {"others": answered}


@pytest.mark.parametrize("path", ["/variance-inline", "/variance-awaited"])
def test_computing_on_the_loop_holds_it(path: str) -> None:
    check_held(path, 0)


@pytest.mark.parametrize("path", ["/variance-def", "/variance-process"])
def test_computing_elsewhere_does_not(path: str) -> None:
    check_held(path, 5)
    with pytest.raises(AssertionError):
        check_held(path, 0)
