"""The article's three routes say where they ran, hold as told, and block whom they should."""

from __future__ import annotations

import os
from typing import Any

import httpx
import pytest
from specimens import LOOPS, SPECIMEN, spoiled

from lab_apps.instruments import load
from lab_apps.instruments.schedule import closed
from lab_apps.instruments.server import serve
from lab_apps.instruments.wire import Stream
from lab_apps.practices import async_routes
from lab_apps.practices.async_routes import pings

ROUTES = {
    "/terrible-ping": "event loop",
    "/good-ping": "worker thread",
    "/perfect-ping": "event loop",
    "/terrible-fetch": "event loop",
    "/good-fetch": "worker thread",
    "/perfect-fetch": "event loop",
}
VICTIMS = {"/victim": "event loop", "/victim-def": "worker thread"}


def check_routes(url: str) -> None:
    """Every route's answer, to the letter: it says where it ran."""
    with httpx.Client(base_url=url, timeout=20) as client:
        for path, ran_on in ROUTES.items():
            answer = client.get(path, params={"hold_ms": 5})
            assert (answer.status_code, answer.json()) == (200, {"ping": "pong", "ran_on": ran_on})
            assert answer.elapsed.total_seconds() >= 0.005
        for path, ran_on in VICTIMS.items():
            assert client.get(path).json() == {"victim": "served", "ran_on": ran_on}


@pytest.mark.parametrize("loop", LOOPS)
def test_routes_say_where_they_ran(loop: Any) -> None:
    with serve(async_routes.app, loop=loop) as server:
        check_routes(server.url)


def test_check_sees_a_route_of_another_kind() -> None:
    """A specimen in which the `def` route has become `async`."""
    broken = spoiled("/good-ping", pings.terrible_ping)
    with serve(broken) as server, pytest.raises(AssertionError):
        check_routes(server.url)


def test_default_hold_is_50_ms() -> None:
    """As the pages and the README say."""
    with serve(async_routes.app) as server:
        for path, ran_on in ROUTES.items():
            body = f'{{"ping":"pong","ran_on":"{ran_on}"}}'.encode()
            one = Stream("one", path, closed(1, requests=1), body)
            trial = load.send(server.url, one, warm_up=0)
            assert trial.errors == {}
            assert (trial.response_ms >= 50).all()


@pytest.mark.parametrize("path", ["/good-ping", "/good-fetch", "/perfect-ping", "/perfect-fetch"])
def test_what_does_not_block_runs_side_by_side(path: str) -> None:
    """20 requests of 50 ms by 20 users: about one hold in all, not 20."""
    assert makespan_ms(path, 50) < 20 * 50 / 2


@pytest.mark.parametrize("path", ["/terrible-ping", "/terrible-fetch"])
def test_what_blocks_runs_one_after_the_other(path: str) -> None:
    assert makespan_ms(path, 20) >= 20 * 20


def makespan_ms(path: str, hold_ms: int) -> float:
    with serve(async_routes.app) as server:
        path += f"?hold_ms={hold_ms}"
        trial = load.send(server.url, Stream("one", path, closed(20, requests=20)))
    assert trial.errors == {}
    return trial.makespan_ms


def test_who_is_the_process_that_serves() -> None:
    with serve(async_routes.app) as server:
        assert httpx.get(f"{server.url}/who").json() == {"pid": os.getpid()}
    with serve(SPECIMEN, where="process") as server:
        assert httpx.get(f"{server.url}/who").json()["pid"] != os.getpid()
