"""What the instrument of the queue does itself: when it counts, what it counts, what it runs."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from helpers import at_once, needs_proc, no_leftovers
from postgres_targets import answer, own_database

from lab_apps.instruments import postgres, queue_stops
from lab_apps.instruments.child import ChildError
from lab_apps.instruments.ledger import Ledger
from lab_apps.instruments.postgres import Database
from lab_apps.instruments.queue_stops import STARTED, Queue, make_tables

pytest.importorskip("procrastinate")
JOBS = "lab_apps.practices.background_tasks.jobs"
QUEUE = Queue("lab_apps.practices.background_tasks.queued:app", f"{JOBS}.queue", "%deliver%")
States = dict[str, int]


class Scripted(Queue):
    """A queue whose jobs are in one state after the other, then stay in the last."""

    script: tuple[States, ...]
    looks: list[str]

    def states(self, url: str) -> States:
        self.looks.append(url)
        return self.script[min(len(self.looks), len(self.script)) - 1]


def scripted(*script: States) -> Scripted:
    queue = Scripted("web", "jobs", "%")
    object.__setattr__(queue, "script", script)
    object.__setattr__(queue, "looks", [])
    return queue


WAITS, WORKS, OVER = {"todo": 2, "succeeded": 1}, {"doing": 2, "succeeded": 1}, {"succeeded": 3}
MIXED = {"succeeded": 1, "failed": 1, "aborted": 1}


@pytest.mark.parametrize(
    ("script", "looks"),
    [
        ([{}], 1),
        ([OVER], 1),
        ([MIXED], 1),
        ([WAITS, OVER], 2),
        ([WORKS, OVER], 2),
        ([WAITS, WORKS, WAITS, MIXED], 4),  # retried: what waits again isn't over
        ([WORKS, {"doing": 1, "todo": 1, "succeeded": 1}, OVER], 3),
    ],
)
def test_drained_when_no_job_is_to_be_done(script: list[States], looks: int) -> None:
    queue = scripted(*script)
    assert queue.drained("url", 5) == script[-1]
    assert queue.looks == ["url"] * looks


def test_drained_when_what_is_at_work_does_not_change() -> None:
    begun_s = time.monotonic()
    assert scripted(WORKS).drained("url", 0.3) == WORKS
    assert time.monotonic() - begun_s >= 0.3


def test_each_change_and_each_job_that_waits_puts_that_off() -> None:
    turns = [{"doing": 1, "succeeded": done} for done in range(20)]  # 1 s in all
    assert scripted(*turns, OVER).drained("url", 0.3) == OVER
    assert scripted(*[WAITS] * 15, WORKS).drained("url", 0.3) == WORKS


def test_jobs_that_wait_for_ever_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_stops, "DRAIN_S", 0.4)
    with pytest.raises(TimeoutError, match=r"after 0\.4 s the jobs are \{'todo': 2"):
        scripted(WAITS).drained("url", 0.1)


def test_a_queue_is_told_of_its_database_and_ledger() -> None:
    queue = Queue("web", "jobs", "%x%", {"MORE": "1", "LEDGER": "old", "LAB_DATABASE_URL": "old"})
    with Ledger() as ledger:
        there = queue.at("postgresql://", ledger)
        expected = {"MORE": "1", "LAB_DATABASE_URL": "postgresql://", "LEDGER": str(ledger.path)}
    assert there.env == expected
    assert (there.web, there.jobs, there.task) == ("web", "jobs", "%x%")
    assert queue.env == {"MORE": "1", "LEDGER": "old", "LAB_DATABASE_URL": "old"}


# With Postgres


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    with own_database():
        yield postgres.database()


def test_tables_are_made_where_the_url_points(database: Database) -> None:
    tables = "SELECT schemaname FROM pg_tables WHERE tablename = 'procrastinate_jobs'"
    with database.schema() as inner:
        make_tables(inner.url)
        assert answer(inner.url, tables) == answer(inner.url, "SELECT current_schema()")
    assert answer(database.url, tables) == []


def test_states_counts_the_jobs_of_the_task_alone(database: Database) -> None:
    jobs = [("a.deliver", "todo"), ("a.deliver", "todo"), ("a.deliver_again", "succeeded")]
    with database.schema() as inner:
        make_tables(inner.url)
        assert QUEUE.states(inner.url) == {}
        for name, status in [*jobs, ("a.retry_stalled", "doing")]:
            answer(
                inner.url,
                "INSERT INTO procrastinate_jobs (queue_name, task_name, status)"
                f" VALUES ('default', '{name}', '{status}')",
            )
        assert QUEUE.states(inner.url) == {"todo": 2, "succeeded": 1}
        assert Queue("", "", "%deliver").states(inner.url) == {"todo": 2}


@needs_proc
def test_the_command_of_a_worker_is_the_one_that_readers_are_told(database: Database) -> None:
    import importlib

    told = " ".join((importlib.import_module(JOBS).__doc__ or "").split())
    with database.schema() as inner, Ledger() as ledger, no_leftovers():
        make_tables(inner.url)
        with QUEUE.at(inner.url, ledger).worker(10) as worker:
            worker.wait_for(STARTED)
            command = " ".join(worker._command)
    assert command == f"procrastinate --app={JOBS}.queue worker --concurrency=10"
    assert command in told


def test_a_worker_without_its_tables_is_an_error(database: Database) -> None:
    with (
        database.schema() as inner,
        Ledger() as ledger,
        QUEUE.at(inner.url, ledger).worker(1) as worker,
        pytest.raises(ChildError, match="worker --concurrency=1 has ended"),
    ):
        worker.wait_for("no such line")


@pytest.mark.parametrize("what", ["web", "jobs"])
def test_what_does_not_exist_is_an_error_and_leaves_nothing(database: Database, what: str) -> None:
    names = {"web": QUEUE.web, "jobs": QUEUE.jobs, what: f"{JOBS}:missing"}
    broken = Queue(names["web"], names["jobs"], "%")
    schemas = "SELECT count(*) FROM pg_namespace"
    before = answer(database.url, schemas)
    with no_leftovers(), pytest.raises(ChildError, match="missing"):
        queue_stops.spread(broken, database, "/queue", at_once(1), workers=1, concurrency=1)
    assert answer(database.url, schemas) == before
