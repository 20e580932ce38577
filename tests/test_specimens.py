"""The specimens run, alone and measured, and say where each route ran."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from helpers import needs_proc, no_leftovers

from lab_apps.instruments import load
from lab_apps.instruments.schedule import closed
from lab_apps.instruments.server import serve
from lab_apps.instruments.wire import Stream
from lab_apps.practices import async_routes

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


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_routes_say_where_they_ran(loop: Any) -> None:
    with serve(async_routes.app, loop=loop) as server:
        check_routes(server.url)


def test_check_sees_a_route_of_another_kind() -> None:
    """A specimen in which the `def` route has become `async`."""
    broken = FastAPI(lifespan=async_routes.upstream_and_clients)
    for route in async_routes.app.routes:
        path, endpoint = getattr(route, "path", ""), getattr(route, "endpoint", None)
        if path in ROUTES or path in VICTIMS:
            assert endpoint is not None
            chosen = async_routes.terrible_ping if path == "/good-ping" else endpoint
            broken.get(path, response_model=None)(chosen)
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


@needs_proc
def test_twenty_lifespans_leave_nothing() -> None:
    async def live() -> None:
        async with async_routes.upstream_and_clients(FastAPI()):
            await asyncio.sleep(0)

    def use() -> None:
        with serve(async_routes.app) as server, httpx.Client(base_url=server.url) as client:
            for path in ("/terrible-fetch", "/good-fetch", "/perfect-fetch"):
                assert client.get(path, params={"hold_ms": 1}).status_code == 200

    use()
    asyncio.run(live())
    with no_leftovers():
        for _ in range(20):
            asyncio.run(live())
        use()


def test_runs_alone() -> None:
    """As the module says: `uvicorn lab_apps.practices.async_routes:app`, here on any free port."""
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "lab_apps.practices.async_routes:app",
        "--port",
        "0",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as alone:
        try:
            assert alone.stderr is not None
            said = ""
            while not (found := re.search(r"running on (http://127\.0\.0\.1:\d+)", said)):
                line = alone.stderr.readline()
                assert line, f"uvicorn has ended: {said}"
                said += line
            check_routes(found.group(1))
        finally:
            alone.terminate()
            _, rest = alone.communicate(timeout=20)
    assert "Traceback" not in said + rest
    assert "Finished server process" in rest
