"""What happens to a table's other users while a migration wants its lock, moment by moment."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg

from lab_apps.instruments.trial import Trial

POLL_S, TIMEOUT_S, BUILD_S = 0.002, 20.0, 60.0
LEAST, LAG_MS = 20, 100.0

# pg_locks: postgresql.org/docs/current/view-pg-locks.html. Autovacuum locks tables too.
LOCKS = """
SELECT count(*) FROM pg_locks JOIN pg_class ON pg_class.oid = relation JOIN pg_stat_activity
USING (pid) WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'
AND backend_type = 'client backend' AND datname = current_database()
AND mode = %s AND granted = %s
"""


@dataclass(frozen=True)
class Span:
    """From when until when something held or wanted a lock, and what came of it.

    Instants of `time.perf_counter_ns()`, as in a `Trial`. From `begun_ns` on the lock was seen in
    Postgres, at `ended_ns` it was about to be let go; so what was sent after the one and answered
    before the other did not need it. `result` is what the migration returned, `returned_ns` when.
    """

    begun_ns: int
    ended_ns: int
    returned_ns: int
    result: Any

    @property
    def seconds(self) -> float:
        """How long that was."""
        return (self.ended_ns - self.begun_ns) / 1e9


@contextlib.contextmanager
def transaction(url: str, statement: str) -> Iterator[psycopg.Connection[Any]]:
    """Run the statement and leave its transaction open for the block, as a report does."""
    with psycopg.connect(url) as connection:
        connection.execute(statement.encode())
        yield connection


def seen(url: str, mode: str, *, granted: bool) -> int:
    """Wait until a client has, or waits for, such a lock on a table of the schema; when that was.

    `mode` is Postgres's word, AccessExclusiveLock for instance. Raises TimeoutError after 20 s.
    """
    deadline = time.monotonic() + TIMEOUT_S
    with psycopg.connect(url, autocommit=True) as connection:
        while connection.execute(LOCKS, (mode, granted)).fetchone() == (0,):
            if time.monotonic() > deadline:
                raise TimeoutError(f"no {mode}, granted={granted}, was seen within {TIMEOUT_S} s")
            time.sleep(POLL_S)
    return time.perf_counter_ns()


def behind(
    url: str, migrate: Callable[[], Any], *, report: str, seconds: float, after_s: float
) -> Span:
    """Run `migrate`, which wants a table to itself, behind a transaction that has read it.

    The transaction runs the statement `report`, after `after_s` the migration begins, and
    `seconds` after it was seen to wait the transaction ends. An empty `report` is no transaction:
    then the span has the same length, whatever the migration takes.
    """
    with ThreadPoolExecutor(1) as threads, contextlib.ExitStack() as stack:
        if report:
            held = stack.enter_context(transaction(url, report))
        time.sleep(after_s)
        begun_ns = time.perf_counter_ns()
        done = threads.submit(lambda: (migrate(), time.perf_counter_ns()))
        if report:
            begun_ns = seen(url, "AccessExclusiveLock", granted=False)
        time.sleep(seconds)
        ended_ns = time.perf_counter_ns()
        if report:
            held.rollback()
        result, returned_ns = done.result()
    return Span(begun_ns, ended_ns, returned_ns, result)


def building(url: str, create_index: str, *, after_s: float) -> Span:
    """Run CREATE INDEX after `after_s`, CONCURRENTLY or in a transaction as it says.

    Raises psycopg's QueryCanceled after 60 s: a concurrent build waits for the transactions of
    others in the same database too.
    """
    alone = "CONCURRENTLY" in create_index
    mode = "ShareUpdateExclusiveLock" if alone else "ShareLock"

    def build() -> int:
        with psycopg.connect(url, autocommit=alone) as connection:
            connection.execute(f"SET statement_timeout = {BUILD_S * 1e3:.0f}".encode())
            connection.execute(create_index.encode())
            return time.perf_counter_ns()  # before the commit

    with ThreadPoolExecutor(1) as threads:
        time.sleep(after_s)
        done = threads.submit(build)
        begun_ns = seen(url, mode, granted=True)
        ended_ns = done.result()
    return Span(begun_ns, ended_ns, time.perf_counter_ns(), None)


def answered(trial: Trial, span: Span, *, first: float = 0.0) -> tuple[int, int]:
    """How many requests were sent and answered within the span, and how many were sent in it.

    `first` leaves out that share of it at the beginning.
    """
    begun_ns = span.begun_ns + first * (span.ended_ns - span.begun_ns)
    rows = trial.rows
    due = (rows["sent_ns"] > begun_ns) & (rows["sent_ns"] < span.ended_ns)
    good = due & (rows["done_ns"] < span.ended_ns) & (rows["error"] == "")
    return int(np.count_nonzero(good)), int(np.count_nonzero(due))


def disturbance(trial: Trial, span: Span, *, least: int = LEAST, whole: bool = True) -> str:
    """Why what was counted within the span says little; "" where it says enough.

    By the client alone: fewer than `least` requests were sent within, one that was due within was
    sent over 100 ms late, or (`whole`) the last one was due more than 100 ms before its end.
    """
    intended_ns, sent_ns = trial.rows["intended_ns"], trial.rows["sent_ns"]
    if (sent := answered(trial, span)[1]) < least:
        return f"{sent} requests were sent in the {span.seconds:.2f} s, {least} are needed"
    within = (intended_ns > span.begun_ns) & (intended_ns < span.ended_ns)
    lag_ms = float((sent_ns - intended_ns)[within].max(initial=0) / 1e6)
    if lag_ms > LAG_MS:
        return f"a request was sent {lag_ms:.0f} ms late, over {LAG_MS:.0f}"
    early_ms = float((span.ended_ns - intended_ns.max()) / 1e6)
    if whole and early_ms > LAG_MS:
        return f"the load ended {early_ms:.0f} ms before the span"
    return ""


def silence_ms(trial: Trial, span: Span) -> float:
    """The longest time within the span in which nothing sent after its beginning was answered."""
    rows = trial.rows
    at_ns = rows["done_ns"][(rows["sent_ns"] > span.begun_ns) & (rows["error"] == "")]
    ends = np.clip(np.sort(at_ns), span.begun_ns, span.ended_ns)
    return float(np.diff([span.begun_ns, *ends, span.ended_ns]).max() / 1e6)
