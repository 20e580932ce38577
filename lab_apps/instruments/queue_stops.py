"""A queue in Postgres, its web server and its workers: one of them is stopped, jobs are counted."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from lab_apps.instruments import stops
from lab_apps.instruments.ledger import Ledger
from lab_apps.instruments.postgres import Database
from lab_apps.instruments.program import Program
from lab_apps.instruments.schedule import Schedule
from lab_apps.instruments.stops import BEGIN_S, END_S, Fate, Signal

STARTED = "Starting worker"
SUCCESSOR_JOBS = 50  # at a time: a second worker is to be done soon
DRAIN_S = 40.0  # until every job that will ever be done is
POLL_S = 0.25

STATES = """
SELECT status, count(*) FROM procrastinate_jobs WHERE task_name LIKE %s GROUP BY status
"""


@dataclass(frozen=True)
class Queue:
    """A web app "module:app" that puts jobs into Postgres, and procrastinate's "module.app".

    `task` is the SQL pattern of the jobs' name, `env` what tells all processes of their settings.
    """

    web: str
    jobs: str
    task: str
    env: Mapping[str, str] = field(default_factory=dict)

    def at(self, url: str, ledger: Ledger) -> Queue:
        """The same with its database and its ledger."""
        return replace(self, env={**self.env, "LAB_DATABASE_URL": url, "LEDGER": str(ledger.path)})

    def run(self, *command: str) -> Program:
        """procrastinate's own command for this queue, such as "worker", "--concurrency=10"."""
        return Program("procrastinate", f"--app={self.jobs}", *command, env=self.env)

    def worker(self, concurrency: int, *options: str) -> Program:
        """A worker that takes so many jobs at a time."""
        return self.run("worker", f"--concurrency={concurrency}", *options)

    def states(self, url: str) -> dict[str, int]:
        """How many jobs of the task are in each state: todo, doing, succeeded, failed, aborted."""
        import psycopg

        with psycopg.connect(url) as connection:
            return dict(connection.execute(STATES, [self.task]).fetchall())

    def drained(self, url: str, quiet_s: float) -> dict[str, int]:
        """Wait until no job is to be done, or none has changed its state for `quiet_s`; the states.

        A job that waits counts as changing. Raises TimeoutError when jobs still wait after 40 s.
        """
        begun_s = changed_s = time.monotonic()
        states = self.states(url)
        while {"todo", "doing"} & states.keys():
            time.sleep(POLL_S)
            before, states = states, self.states(url)
            now_s = time.monotonic()
            if states != before or "todo" in states:
                changed_s = now_s
            if now_s - changed_s > quiet_s:
                break
            if now_s - begun_s > DRAIN_S:
                raise TimeoutError(f"after {DRAIN_S} s the jobs are {states}")
        return states


def make_tables(url: str) -> None:
    """Make procrastinate's tables, as its `schema --apply` does, without a process of its own."""
    import psycopg
    from procrastinate.schema import SchemaManager

    with psycopg.connect(url) as connection:
        connection.execute(SchemaManager.get_schema())


def stopped(
    queue: Queue,
    database: Database,
    path: str,
    requests: Schedule,
    *,
    who: Literal["web", "worker"],
    number: Signal,
    concurrency: int,
    at: Literal["begun", "done"] = "begun",
    options: Sequence[str] = (),
    quiet_s: float = 3.0,
) -> Fate:
    """POST each request; stop the web server or the worker in the midst; let a second one finish.

    The signal is sent when as many jobs as the worker takes at a time (`concurrency`) have noted
    `at` and none what comes next; else all is done again, up to 3 times. So a job must take longer
    than 0.5 s and the worker's time of grace, by two seconds, to be cut off: the grace begins a
    second late when a side task has missed its cancellation (procrastinate #1616). Where the worker
    was stopped another is started once it is gone. The count is made when no job is to be done any
    more, or when none has changed its state for `quiet_s`, which must be longer than it takes to
    notice a dead worker. Each time in a schema of its own; all processes are gone then. Raises what
    `stops.stopped` raises, and TimeoutError when jobs still wait 40 s after the stop.
    """
    for _ in range(stops.ATTEMPTS):
        with database.schema() as inner, Ledger() as ledger, contextlib.ExitStack() as running:
            here = queue.at(inner.url, ledger)
            make_tables(inner.url)
            web = running.enter_context(Program("uvicorn", here.web, "--port", "0", env=here.env))
            worker = running.enter_context(here.worker(concurrency, *options))
            worker.wait_for(STARTED)
            trial = stops.post(web.wait_for(stops.ADDRESS).group(1), path, requests)
            ledger.wait_for(at, concurrency, BEGIN_S)
            target = {"web": web, "worker": worker}[who]
            signalled_ns = target.signal(signal.Signals[number])
            ended_ns, status = target.wait(END_S)
            if who == "worker":
                running.enter_context(here.worker(SUCCESSOR_JOBS))
            states = here.drained(inner.url, quiet_s)
            events, said = ledger.events, target.said
        then = {"begun": "done", "done": "returned"}[at]
        missed = stops.meets(events, signalled_ns, at, concurrency, then)
        fate = Fate(trial, events, signalled_ns, ended_ns, status, missed, said, states)
        if not missed:
            break
    return fate


def spread(
    queue: Queue,
    database: Database,
    path: str,
    requests: Schedule,
    *,
    workers: int,
    concurrency: int,
) -> Fate:
    """POST to a queue with so many workers, stop them by SIGTERM once all is done.

    `signalled_ns` and `ended_ns` are those of the last one, `status` the first that isn't 0.
    """
    with database.schema() as inner, Ledger() as ledger, contextlib.ExitStack() as running:
        here = queue.at(inner.url, ledger)
        make_tables(inner.url)
        web = running.enter_context(Program("uvicorn", here.web, "--port", "0", env=here.env))
        at_work = [running.enter_context(here.worker(concurrency)) for _ in range(workers)]
        for worker in at_work:
            worker.wait_for(STARTED)
        trial = stops.post(web.wait_for(stops.ADDRESS).group(1), path, requests)
        states = here.drained(inner.url, DRAIN_S)
        signalled_ns = [worker.signal(signal.SIGTERM) for worker in at_work][-1]
        ends = [worker.wait(END_S) for worker in at_work]
        status = next((status for _, status in ends if status), 0)
        events = ledger.events
    return Fate(trial, events, signalled_ns, ends[-1][0], status, states=states)
