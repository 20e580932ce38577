"""Queries per request: each has its own, many at a time, and what belongs to none is kept apart."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import apps
import httpx
import psycopg
import pytest
from fastapi import BackgroundTasks, FastAPI
from postgres_targets import own_database
from queries_app import APP, create_app, environment, methods, texts
from specimens import LOOPS

from lab_apps.instruments import queries
from lab_apps.instruments.queries import Recorder, RequestLog, outside, recorded, taken
from lab_apps.instruments.server import Server, serve


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with own_database() as url:
        yield url


@pytest.fixture(autouse=True)
def _environment(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with environment(url, monkeypatch):
        yield


def get_all(server: Server, paths: list[str]) -> list[int]:
    """Ask for all at once; the statuses."""
    with httpx.Client(base_url=server.url, timeout=30) as client, ThreadPoolExecutor(30) as pool:
        return [answer.status_code for answer in pool.map(client.get, paths)]


def check_kept_apart(logs: list[RequestLog], paths: list[str]) -> None:
    """Each request has its own four queries with BEGIN and COMMIT, and no other's."""
    assert sorted(log.path for log in logs) == sorted(paths)
    for log in logs:
        number = log.path.rpartition("/")[2]
        parts = ["background", "dependency", "exit", "route"]
        assert sorted(texts(log.queries)) == [
            f"SELECT '{part}', {number}, pg_sleep(%s)" for part in parts
        ]
        assert Counter(texts(log.commands)) == {"BEGIN": 4, "COMMIT": 4}
        assert log.transaction_statements == 8
        assert (log.method, log.status) == ("GET", 200)
        for query in (*log.queries, *log.commands):
            assert log.begun_ns <= query.begun_ns < query.ended_ns <= log.ended_ns
            assert query.error == ""


PATHS = [f"/{kind}/{n}" for n in range(20) for kind in ("def", "async", "mixed")]


@pytest.mark.parametrize("loop", LOOPS)
def test_many_requests_at_once(loop: Any) -> None:
    recorder = Recorder(create_app)
    with serve(recorder, loop=loop) as server:
        assert set(get_all(server, PATHS)) == {200}
        check_kept_apart(recorder.take(), PATHS)
        assert recorder.take() == []
    assert texts(recorder.outside.queries) == ["SELECT 'lifespan', 0, pg_sleep(%s)"]


def test_in_a_process() -> None:
    with serve(recorded(APP), where="process") as server:
        assert set(get_all(server, PATHS)) == {200}
        check_kept_apart(server.inside(taken, APP), PATHS)
        assert server.inside(taken, APP) == []
        apart = server.inside(outside, APP)
        assert texts(apart.queries) == ["SELECT 'lifespan', 0, pg_sleep(%s)"]
    assert methods()["Cursor.execute"] is psycopg.Cursor.execute


def test_name_in_this_process() -> None:
    for _ in range(2):  # each server has a log of its own
        with serve(recorded(APP)) as server:
            httpx.get(f"{server.url}/def/1")
            check_kept_apart(server.inside(taken, APP), ["/def/1"])
    with pytest.raises(ValueError, match="no_such"), serve(recorded("no_such:app")):
        pass
    assert not hasattr(queries, "anything_else")


def test_two_recorders_at_once() -> None:
    one, two = Recorder(create_app), Recorder(create_app)
    with serve(one) as first:
        with serve(two) as second:
            get_all(first, ["/def/1", "/async/1"])
            get_all(second, ["/async/2"])
        get_all(first, ["/def/3"])
        check_kept_apart(one.take(), ["/def/1", "/async/1", "/def/3"])
        check_kept_apart(two.take(), ["/async/2"])


def test_failed_query_and_request() -> None:
    recorder = Recorder(create_app)
    with serve(recorder) as server:
        assert httpx.post(f"{server.url}/fails/7").status_code == 500
        (log,) = recorder.take()
    assert (log.method, log.path, log.status) == ("POST", "/fails/7", 500)
    assert [query.error for query in log.queries] == ["", "DivisionByZero"]
    assert texts(log.commands) == ["BEGIN", "COMMIT", "BEGIN", "ROLLBACK"]


def test_what_belongs_to_no_request() -> None:
    """A thread without the context, and a task after the request has ended."""
    recorder = Recorder(create_app)
    with serve(recorder) as server:
        get_all(server, ["/elsewhere/1", "/later/2"])
        logs = recorder.take()
        time.sleep(0.3)
    assert [log.queries for log in logs] == [(), ()]
    begins = [text.partition(",")[0] for text in texts(recorder.outside.queries)]
    assert begins == ["SELECT 'lifespan'", "SELECT 'elsewhere'", "SELECT 'later'"]


def test_log_waits_for_the_end_of_its_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """The response has gone out, a background task has not ended."""
    app = FastAPI()

    @app.get("/")
    def answer(after: BackgroundTasks) -> None:
        after.add_task(time.sleep, 0.5)

    recorder = Recorder(app)
    with serve(recorder) as server:
        httpx.get(server.url)
        assert len(recorder.take()) == 1
        monkeypatch.setattr(queries, "TAKE_TIMEOUT_S", 0.1)
        httpx.get(server.url)
        with pytest.raises(TimeoutError, match="1 requests in flight"):
            recorder.take()


def test_without_lifespan_and_bare() -> None:
    """Recording lasts as long as the request; a websocket passes."""
    recorder = Recorder(apps.bare)

    async def ask() -> int:
        transport = httpx.ASGITransport(recorder)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return (await client.get("/x?y=1")).status_code

    assert asyncio.run(ask()) == 200
    (log,) = recorder.take()
    assert (log.method, log.path, log.status, log.queries) == ("GET", "/x", 200, ())

    async def raises(scope: Any, *_: Any) -> None:
        raise OSError(scope["type"])

    broken = Recorder(raises)
    for kind in ("http", "websocket", "lifespan"):
        with pytest.raises(OSError, match=kind):
            asyncio.run(broken({"type": kind, "method": "GET", "path": "/"}, None, None))
    assert [log.status for log in broken.take()] == [0]
