"""Threads and connections that lock each other up, what mends it, and the boundary: by outcome."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import numpy as np
import psycopg
import pytest
import sqlalchemy
import sqlalchemy.orm
from helpers import attempts, no_leftovers, wait_until
from psycopg_pool import ConnectionPool, PoolTimeout
from specimens import LOOPS

from lab_apps.instruments import lockup, postgres
from lab_apps.instruments.calibration import create_app
from lab_apps.instruments.load import send
from lab_apps.instruments.lockup import ALL, SOME
from lab_apps.instruments.schedule import closed
from lab_apps.instruments.server import serve
from lab_apps.instruments.trial import ROW, Trial
from lab_apps.instruments.wire import Stream
from lab_apps.practices.async_routes import database, deadlock

needs_postgres = pytest.mark.skipif(bool(postgres.why_not()), reason=postgres.why_not())

REPORT = b'{"rows":1}'


class Arm(NamedTuple):
    """A route, what comes of it, and the pools' sizes and patience."""

    path: str
    outcome: str
    connections: int = 10
    threads: int = 40
    timeout_s: float = 0.25


ARMS = [  # as in notebook 05
    Arm("deadlock", SOME),
    Arm("async-dependency", SOME),
    Arm("function-scope", SOME),
    Arm("deadlock", SOME, connections=40),
    Arm("deadlock", SOME, threads=10, timeout_s=0.1),
    Arm("connection", SOME),
    Arm("no-model", ALL, timeout_s=2.0),
    Arm("response", ALL, timeout_s=2.0),
    Arm("inside", ALL, timeout_s=2.0),
    Arm("max-concurrency", ALL, timeout_s=2.0),
    Arm("await", ALL, timeout_s=2.0),
]
PATHS = sorted({arm.path for arm in ARMS})


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serve(create_app, loop="uvloop"):  # from its first loop on uvloop keeps a pipe
        pass
    with postgres.database().schema() as schema:
        yield schema.url
    postgres.stop()


def burst(url: str, arm: Arm, requests: int, query_ms: float) -> Trial:
    """So many requests at once; afterwards the server must be well again."""
    path = f"/session/{arm.path}"
    calls = Stream("r", f"{path}?query_ms={query_ms}", closed(requests, requests=requests), REPORT)
    app = database.create_app(url, size=arm.connections, async_size=10, timeout_s=arm.timeout_s)
    with serve(app, tokens=arm.threads) as server:
        trial = send(server.url, calls, warm_up=0)
        assert httpx.get(f"{server.url}{path}").content == REPORT
    return trial


def check_outcome(url: str, arm: Arm, requests: int, query_ms: float = 10) -> None:
    trial = burst(url, arm, requests, query_ms)
    assert len(trial.rows) == requests
    assert lockup.outcome(trial) == arm.outcome


@needs_postgres
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("path", PATHS)
def test_one_request(url: str, path: str, loop: Any) -> None:
    with no_leftovers(), serve(database.create_app(url, size=1), loop=loop) as server:
        for _ in range(3):  # of one connection: it comes back each time
            assert httpx.get(f"{server.url}/session/{path}").content == REPORT


@needs_postgres
@pytest.mark.parametrize("arm", ARMS, ids=str)
def test_what_locks_up_and_what_does_not(url: str, arm: Arm) -> None:
    """With half the threads, so that fewer requests do, unless there are as many connections."""
    if arm.connections == arm.threads == 40:
        check_outcome(url, arm, 150)
    else:
        check_outcome(url, arm._replace(threads=arm.threads // 2), 75)


@needs_postgres
@pytest.mark.long
@pytest.mark.parametrize("arm", ARMS, ids=str)
def test_the_same_outcome_ten_times(url: str, arm: Arm) -> None:
    for _ in range(10):
        check_outcome(url, arm, 150)


@needs_postgres
@pytest.mark.parametrize("path", ["inside", "max-concurrency"])
def test_check_sees_a_lock_up_that_was_mended(url: str, path: str) -> None:
    with pytest.raises(AssertionError):
        check_outcome(url, Arm(path, SOME, threads=20), 75)


@needs_postgres
@pytest.mark.parametrize(("connections", "threads"), [(4, 8), (8, 4)])
def test_it_locks_up_from_connections_and_threads_on(
    url: str, connections: int, threads: int
) -> None:
    arm = Arm("async-dependency", ALL, connections, threads, timeout_s=0.6)
    edge = connections + threads
    check_outcome(url, arm, edge - 1, query_ms=100)
    attempts(check_outcome, url, arm._replace(outcome=SOME), edge, 100)
    trial = burst(url, arm, edge + threads, query_ms=100)
    refused = np.count_nonzero(trial.rows["status"] == 503)
    assert 0 < refused <= lockup.refused(edge + threads, connections, threads)


@needs_postgres
def test_the_lock_up_ends_by_the_timeout_and_not_before(url: str) -> None:
    arm = Arm("deadlock", SOME, connections=4, threads=8, timeout_s=0.5)
    trial = burst(url, arm, 40, query_ms=50)
    assert lockup.outcome(trial) == SOME
    assert trial.makespan_ms >= 1e3 * lockup.locked_s(24, 4, 8, 0.5)


@needs_postgres
def test_a_session_keeps_its_connection_from_its_first_query_on(url: str) -> None:
    with ConnectionPool(url, min_size=1, max_size=1, timeout=0.05, open=False) as pool:
        pool.wait()

        def free() -> int:
            return pool.get_stats()["pool_available"]

        with deadlock.Session(pool) as session:
            assert free() == 1
            assert session.report(1).rows == 1
            assert free() == 0
            assert session.report(1).rows == 1
            with deadlock.Session(pool) as another, pytest.raises(PoolTimeout):
                another.report(1)
        assert wait_until(lambda: free() == 1, 1)
        with contextlib.suppress(ZeroDivisionError), deadlock.Session(pool) as session:
            session.report(1)
            raise ZeroDivisionError
        assert wait_until(lambda: free() == 1, 1)


@needs_postgres
@pytest.mark.usefixtures("url")
def test_a_session_of_sqlalchemy_does_so_too() -> None:
    engine = sqlalchemy.create_engine(postgres.database().sqlalchemy_url)
    pool = engine.pool
    assert isinstance(pool, sqlalchemy.QueuePool)
    with sqlalchemy.orm.Session(engine) as session:
        assert pool.checkedout() == 0
        session.execute(sqlalchemy.text("SELECT 1"))
        assert pool.checkedout() == 1
    assert pool.checkedout() == 0
    assert pool.size() + pool._max_overflow == 15
    assert pool._timeout == 30
    engine.dispose()


@needs_postgres
def test_sessions_are_watched(url: str) -> None:
    with (
        no_leftovers(),
        lockup.watching(url) as sessions,
        psycopg.connect(url) as idle,
        psycopg.connect(url, autocommit=True) as busy,
    ):
        idle.execute("SELECT 1")
        busy.execute("SELECT pg_sleep(0.3)")
        assert wait_until(lambda: sessions.active[-1:] == [0], 2)
        idle.rollback()
        assert wait_until(lambda: sessions.idle[-1:] == [0], 2)
    assert max(sessions.active) == 1
    assert max(sessions.idle) == 1
    assert len(sessions.at_ns) == len(sessions.active) == len(sessions.idle)
    assert np.all(np.diff(sessions.at_ns) > 0)


@needs_postgres
def test_picture(url: str) -> None:
    app = database.create_app(url, size=1, timeout_s=0.1)
    calls = Stream("r", "/session/deadlock", closed(4, requests=4), REPORT)
    with serve(app, tokens=2, probe=True) as server, lockup.watching(url) as sessions:
        trial = send(server.url, calls, warm_up=0)
        time.sleep(0.05)
    fig = lockup.over_time(trial, server.readings(), sessions)
    use, ended = fig.axes
    assert len(use.lines) == 3
    assert sum(np.size(line.get_xdata()) for line in ended.lines) == 4


@pytest.mark.parametrize(
    ("requests", "connections", "threads", "refused", "batches"),
    [
        (1, 10, 40, 0, 0),
        (49, 10, 40, 0, 0),
        (50, 10, 40, 40, 1),
        (89, 10, 40, 40, 1),
        (90, 10, 40, 80, 2),
        (150, 10, 40, 120, 3),
        (79, 40, 40, 0, 0),
        (150, 40, 40, 80, 2),
        (150, 10, 10, 140, 14),
    ],
)
def test_prediction(
    requests: int, connections: int, threads: int, refused: int, batches: int
) -> None:
    assert lockup.refused(requests, connections, threads) == refused
    assert lockup.locked_s(requests, connections, threads, 0.5) == batches * 0.5


@pytest.mark.parametrize(
    ("ended", "said"),
    [
        ([(200, ""), (200, "")], ALL),
        ([(200, ""), (503, "status")], SOME),
        ([(503, "status"), (500, "status")], "failed: {'status': 2}"),
        ([(200, "body"), (503, "status")], "failed: {'body': 1, 'status': 1}"),
        ([(0, "timeout")], "failed: {'timeout': 1}"),
    ],
)
def test_outcome(ended: list[tuple[int, str]], said: str) -> None:
    rows = np.zeros(len(ended), dtype=ROW)
    rows["status"], rows["error"] = zip(*ended, strict=True)
    assert lockup.outcome(Trial(rows, ("r",), 0, 1.0, 0.0, 0.0)) == said


def test_idle_connections_count_only_while_none_is_active() -> None:
    assert lockup.Sessions([1, 2, 3], [1, 0, 0], [9, 4, 3]).standing == 4
    assert lockup.Sessions([1], [1], [9]).standing == 0
