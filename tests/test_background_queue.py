"""The queue: its jobs outlive the web server and its workers; what is lost and doubled, counted."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import pytest
from helpers import needs_proc, no_leftovers
from postgres_targets import answer, own_database

from lab_apps.instruments import postgres, queue_stops, stops
from lab_apps.instruments.hog import hog
from lab_apps.instruments.postgres import Database
from lab_apps.instruments.queue_stops import Queue
from lab_apps.instruments.stop_pictures import attempts
from lab_apps.instruments.stops import Fate, at_once

pytest.importorskip("procrastinate")
pytestmark = needs_proc

PRACTICE = "lab_apps.practices.background_tasks"
FAST = {"QUEUE_HEARTBEAT_S": "0.25", "QUEUE_STALLED_S": "1", "QUEUE_RETRY_CRON": "* * * * * *"}
QUEUE = Queue(f"{PRACTICE}.queued:app", f"{PRACTICE}.jobs.queue", "%deliver%", FAST)
FORGETFUL = Queue(QUEUE.web, QUEUE.jobs, QUEUE.task, {**FAST, "QUEUE_RETRY_CRON": "never"})
JOBS, AT_ONCE, WORKERS = 18, 6, 3
SOON = ("--shutdown-graceful-timeout=0.1",)
LISTING = "SELECT 'schema ' || nspname FROM pg_namespace UNION SELECT 'session ' || pid FROM \
pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
DONE = {"succeeded": JOBS}

# name: (who, signal, other options), then (lost, doubled, exit status, states)
CASES: dict[str, tuple[dict[str, Any], tuple[int, int, int, dict[str, int]]]] = {
    "web, SIGTERM": ({"who": "web", "number": "SIGTERM"}, (0, 0, -15, DONE)),
    "web, SIGKILL": ({"who": "web", "number": "SIGKILL"}, (0, 0, -9, DONE)),
    "worker, SIGTERM": ({"who": "worker", "number": "SIGTERM"}, (0, 0, 0, DONE)),
    "worker, SIGKILL": ({"who": "worker", "number": "SIGKILL"}, (0, 0, -9, DONE)),
    "worker, SIGKILL before it could say so": (
        {"who": "worker", "number": "SIGKILL", "at": "done"}
        | {"path": "/queue?seconds=0.1&then_s=0.8"},
        (0, AT_ONCE, -9, DONE),
    ),
    "worker, SIGTERM, too soon": (
        {"who": "worker", "number": "SIGTERM", "options": SOON, "path": "/queue?seconds=3"},
        (AT_ONCE, 0, 0, {"succeeded": JOBS - AT_ONCE, "aborted": AT_ONCE}),
    ),
    "worker, SIGTERM, too soon, tried again": (
        {"who": "worker", "number": "SIGTERM", "options": SOON, "path": "/queue-again?seconds=3"},
        (0, 0, 0, DONE),
    ),
    "worker, SIGKILL, nothing retried": (
        {"who": "worker", "number": "SIGKILL", "queue": FORGETFUL},
        (AT_ONCE, 0, -9, {"succeeded": JOBS - AT_ONCE, "doing": AT_ONCE}),
    ),
}


def experiment(database: Database, how: Mapping[str, Any]) -> Callable[[], Fate]:
    usual = {"queue": QUEUE, "path": "/queue?seconds=0.5", "requests": at_once(JOBS)}
    arguments = {**usual, "database": database, "concurrency": AT_ONCE, **how}
    return partial(queue_stops.stopped, **arguments)


def table(database: Database) -> dict[str, Callable[[], Fate]]:
    return {name: experiment(database, how) for name, (how, _) in CASES.items()}


def check(fates: Mapping[str, Fate]) -> None:
    """Assert the table of what was lost and doubled."""
    for name, seen in fates.items():
        assert not seen.mistimed, name
        assert not seen.trial.errors, name
        assert seen.accepted == JOBS, name
        assert (seen.lost, seen.doubled, seen.status, seen.states) == CASES[name][1], name


@pytest.fixture(scope="module", autouse=True)
def database() -> Iterator[Database]:
    with own_database():
        stops.stopped(f"{PRACTICE}:app", "/naive/awaiting", stops.Stop("SIGKILL"), 1)
        one = postgres.database()
        before = answer(one.url, LISTING)
        with no_leftovers():
            yield one
        assert sorted(answer(one.url, LISTING)) == sorted(before)


@pytest.fixture(scope="module")
def fates(database: Database) -> dict[str, Fate]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stops, "AT_ONCE", len(CASES))
        return stops.each("queue", table(database))


@pytest.mark.parametrize("name", CASES)
def test_lost_and_doubled_by_stop(fates: dict[str, Fate], name: str) -> None:
    check({name: fates[name]})


def test_a_job_of_a_dead_worker_is_done_by_the_next(fates: dict[str, Fate]) -> None:
    runs = attempts(fates["worker, SIGKILL"].events)
    killed = runs[0].pid
    lost = [run for run in runs if run.pid == killed]
    assert [run.done_ns for run in lost] == [None] * AT_ONCE
    (second,) = {run.pid for run in runs} - {killed}
    done = [run.task for run in runs if run.pid == second]
    assert len(done) == len(set(done)) == JOBS
    assert {run.task for run in lost} < set(done)


def test_a_job_that_was_done_is_done_again_where_that_was_not_acknowledged(
    fates: dict[str, Fate],
) -> None:
    seen = fates["worker, SIGKILL before it could say so"]
    done = Counter(seen.tasks("done"))
    assert Counter(done.values()) == {1: JOBS - AT_ONCE, 2: AT_ONCE}
    assert set(Counter(seen.tasks("returned")).values()) == {1}


def test_the_web_server_is_gone_before_its_jobs_are_done(fates: dict[str, Fate]) -> None:
    for name in ("web, SIGTERM", "web, SIGKILL"):
        seen = fates[name]
        late = [run for run in attempts(seen.events) if (run.done_ns or 0) > seen.ended_ns]
        assert len(late) >= JOBS - AT_ONCE


def test_a_dead_worker_is_noticed_as_procrastinate_has_it_unless_told_otherwise() -> None:
    from procrastinate.worker import Worker

    from lab_apps.practices.background_tasks import jobs

    names = ("update_heartbeat_interval", "stalled_worker_timeout")
    own = {name: inspect.signature(Worker).parameters[name].default for name in names}
    assert jobs.queue.worker_defaults == own
    assert list(own.values()) == [jobs.HEARTBEAT_S, jobs.STALLED_S]


def test_three_workers_share_the_jobs_and_do_none_twice(database: Database) -> None:
    seen = queue_stops.spread(
        QUEUE, database, "/queue?seconds=0.3", at_once(JOBS), workers=WORKERS, concurrency=2
    )
    assert (seen.accepted, seen.lost, seen.doubled) == (JOBS, 0, 0)
    assert (seen.status, seen.states) == (0, DONE)
    runs = attempts(seen.events)
    shares = Counter(run.pid for run in runs)
    assert len(shares) == WORKERS
    assert sum(shares.values()) == len({run.task for run in runs}) == JOBS
    web = {event.pid for event in seen.events if event.what == "accepted"}
    assert not web & set(shares)
    for run in runs:  # no worker has more at work than it may
        beside = [
            other
            for other in runs
            if other.pid == run.pid and other.begun_ns <= run.begun_ns < (other.done_ns or 0)
        ]
        assert len(beside) <= 2


def test_a_stop_that_meets_no_work_is_told_and_repeated(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls: list[str] = []
    make_tables = queue_stops.make_tables

    def counted(url: str) -> None:
        urls.append(url)
        make_tables(url)

    monkeypatch.setattr(queue_stops, "make_tables", counted)
    path = {"path": "/queue?seconds=0", "requests": at_once(AT_ONCE)}
    seen = experiment(database, {"who": "web", "number": "SIGKILL", **path})()
    why = f"at the signal {AT_ONCE} of {AT_ONCE} tasks were begun, {AT_ONCE} done"
    assert seen.mistimed == why
    assert len(set(urls)) == stops.ATTEMPTS  # each in a schema of its own


def test_nothing_is_left_when_work_never_begins(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_stops, "BEGIN_S", 0.3)
    before = answer(database.url, LISTING)
    how = {"who": "worker", "number": "SIGKILL", "at": "done", "path": "/queue?seconds=30"}
    with no_leftovers(), pytest.raises(TimeoutError, match=f"0 of {AT_ONCE} tasks were done"):
        experiment(database, how)()
    assert sorted(answer(database.url, LISTING)) == sorted(before)


@pytest.mark.long
@pytest.mark.parametrize("run", range(10))
def test_the_table_is_the_same_each_time(database: Database, run: int) -> None:
    check(stops.each(f"queue {run}", table(database)))


@pytest.mark.long
@pytest.mark.parametrize("run", range(3))
def test_the_table_is_the_same_beside_a_hog(database: Database, run: int) -> None:
    with hog() as switch:
        switch(True)
        check(stops.each(f"hog {run}", table(database)))
