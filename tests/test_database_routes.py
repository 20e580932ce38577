"""A query in three forms: who waits for it, counted; the pools' sizes, ends and refusals."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from helpers import attempts, no_leftovers
from specimens import LOOPS

from lab_apps.instruments import postgres
from lab_apps.instruments.held import answered_meanwhile
from lab_apps.instruments.load import send
from lab_apps.instruments.schedule import closed
from lab_apps.instruments.server import Process, serve
from lab_apps.instruments.victims import Route
from lab_apps.instruments.wire import Stream
from lab_apps.practices.async_routes import database, pings
from lab_apps.practices.async_routes.connections import AsyncPool, Pool

pytestmark = pytest.mark.skipif(bool(postgres.why_not()), reason=postgres.why_not())

RAN_ON = {"blocking": "event loop", "def": "worker thread", "await": "event loop"}
VICTIM = Route("/victim", b'{"victim":"served","ran_on":"event loop"}')


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with postgres.database().schema() as schema:
        yield schema.url
    postgres.stop()


def answer(form: str) -> bytes:
    return f'{{"query":"done","ran_on":"{RAN_ON[form]}"}}'.encode()


def check_meanwhile(app: FastAPI, form: str, count: int) -> None:
    """While one query of 400 ms runs: so many of 20 requests to another route are answered."""
    holder = Route(f"/query/{form}?query_ms=400", answer(form))
    with serve(app) as server:
        held = answered_meanwhile(server, holder, {"victim": VICTIM}, hold_ms=400, each=20)
    assert held.trial.errors == {}
    assert held.answered == {"victim": count}


def check_waves(url: str, form: str, size: int, waves: list[int]) -> None:
    """How many of 21 queries of 80 ms are answered in the first, second, ... 80 ms."""
    calls = Stream("q", f"/query/{form}?query_ms=80", closed(21, requests=21), answer(form))
    with serve(database.create_app(url, size=size)) as server:
        trial = send(server.url, calls)
    assert trial.errors == {}
    assert [*np.bincount((trial.response_ms // 80 - 1).astype(int))] == waves


def spoiled(url: str, path: str, endpoint: Callable[..., Any]) -> FastAPI:
    """The specimen with another route at that path."""
    app = database.create_app(url)
    app.router.routes.clear()
    app.add_api_route(path, endpoint, response_model=None)
    for part in (database.router, pings.router):
        app.include_router(part)
    return app


async def on_the_loop(pool: Pool, query_ms: float) -> dict[str, str]:
    return database.query_def(pool, query_ms)


def in_a_thread(pool: Pool, query_ms: float) -> dict[str, str]:
    return database.query_def(pool, query_ms) | {"ran_on": "event loop"}


async def both(pool: Pool, async_pool: AsyncPool, query_ms: float) -> dict[str, str]:
    await database.query_await(async_pool, 0)
    return await database.query_blocking(pool, query_ms)


@pytest.mark.parametrize("loop", LOOPS)
def test_queries(url: str, loop: Any) -> None:
    with serve(database.create_app(url), loop=loop):
        pass  # uvloop keeps a pipe from its first loop on
    with no_leftovers(), serve(database.create_app(url), loop=loop) as server:
        for form in RAN_ON:
            assert httpx.get(f"{server.url}/query/{form}").content == answer(form)
            longer = httpx.get(f"{server.url}/query/{form}?query_ms=120")
            assert longer.content == answer(form)
            assert longer.elapsed.total_seconds() > 0.12


@pytest.mark.parametrize(("form", "count"), [("blocking", 0), ("def", 20), ("await", 20)])
def test_who_is_answered_meanwhile(url: str, form: str, count: int) -> None:
    check_meanwhile(database.create_app(url), form, count)


@pytest.mark.parametrize(
    ("form", "count", "broken"),
    [("def", 20, on_the_loop), ("await", 20, both), ("blocking", 0, in_a_thread)],
)
def test_check_sees_a_query_elsewhere(
    url: str, form: str, count: int, broken: Callable[..., Any]
) -> None:
    with pytest.raises(AssertionError):
        check_meanwhile(spoiled(url, f"/query/{form}", broken), form, count)


@pytest.mark.parametrize("form", ["def", "await"])
def test_the_smaller_pool_counts(url: str, form: str) -> None:
    attempts(check_waves, url, form, 10, [10, 10, 1])


def test_check_sees_a_pool_of_another_size(url: str) -> None:
    for _ in range(3):
        with pytest.raises(AssertionError):
            check_waves(url, "def", 21, [10, 10, 1])


@pytest.mark.parametrize("form", RAN_ON)
def test_who_waits_in_vain_is_told_so(url: str, form: str) -> None:
    """One connection, three queries of 300 ms, 0.1 s of patience; on the loop nobody waits."""
    calls = Stream("q", f"/query/{form}?query_ms=300", closed(3, requests=3), answer(form))
    with serve(database.create_app(url, size=1, timeout_s=0.1)) as server:
        trial = send(server.url, calls, warm_up=0)
        assert httpx.get(f"{server.url}/query/{form}").content == answer(form)
    assert sorted(trial.rows["status"]) == ([200] * 3 if form == "blocking" else [200, 503, 503])


def test_url_from_the_environment(url: str) -> None:
    app = "lab_apps.practices.async_routes.database:app"
    with Process({"LAB_DATABASE_URL": url}) as process, serve(app, where=process) as server:
        assert httpx.get(f"{server.url}/query/def").content == answer("def")


def test_no_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAB_DATABASE_URL", raising=False)
    with (
        no_leftovers(),
        pytest.raises(RuntimeError, match="set LAB_DATABASE_URL"),
        serve(database.create_app()),
    ):
        pass


def test_import_opens_nothing() -> None:
    code = (
        "import threading; from lab_apps.practices.async_routes.database import app;"
        "assert threading.active_count() == 1"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=30)
