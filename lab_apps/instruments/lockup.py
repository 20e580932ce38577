"""Requests that lock up between two pools: the prediction, the database's own view, a picture."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from lab_apps.instruments.eventloop import Readings
from lab_apps.instruments.plots import COLOURS, figure
from lab_apps.instruments.trial import Milliseconds, Trial

EVERY_S = 0.01
ALL, SOME = "all answered", "some refused"

SESSIONS = """
SELECT count(*) FILTER (WHERE state = 'active'),
       count(*) FILTER (WHERE state = 'idle in transaction')
FROM pg_stat_activity
WHERE application_name = current_setting('application_name') AND pid <> pg_backend_pid()
"""


def refused(requests: int, connections: int, threads: int) -> int:
    """How many of so many requests at the same instant get no connection in time, at most.

    Of a route whose handler waits for a connection in a thread and must get a second thread before
    it gives the connection back; both pools serve first come first served. The first `connections`
    requests run; those who come next take every thread and wait in vain, `threads` at a time, as
    long as there are enough to take them all. So nobody is refused below connections + threads.
    """
    return threads * max(0, (requests - connections) // threads)


def locked_s(requests: int, connections: int, threads: int, timeout_s: float) -> float:
    """How long that lasts: each batch of `threads` waits for `timeout_s`."""
    return refused(requests, connections, threads) / threads * timeout_s


def outcome(trial: Trial) -> str:
    """ALL where every request was answered as expected, SOME where the others were refused by 503.

    Other failures are told as they are, so that they can't pass for either.
    """
    failed = trial.rows[trial.rows["error"] != ""]
    if not len(failed):
        return ALL
    return SOME if set(failed["status"]) == {503} else f"failed: {trial.errors}"


@dataclass
class Sessions:
    """What the database says its sessions do: counts at `at_ns` (perf_counter_ns).

    `active` run a query, `idle` sit in a transaction: taken, and nobody asks them anything.
    """

    at_ns: list[int] = field(default_factory=list)
    active: list[int] = field(default_factory=list)
    idle: list[int] = field(default_factory=list)

    @property
    def standing(self) -> int:
        """Most idle ones at a moment at which none was active; 0 where there was no such moment."""
        both = zip(self.active, self.idle, strict=True)
        return max((idle for active, idle in both if not active), default=0)


@contextlib.contextmanager
def watching(url: str) -> Iterator[Sessions]:
    """Ask the database every 10 ms, while the block runs, what the sessions of that `url` do.

    Sessions are told apart by their application_name; the one that asks isn't counted.
    """
    import psycopg

    sessions, over = Sessions(), threading.Event()
    with psycopg.connect(url, autocommit=True) as connection:

        def watch() -> None:
            while not over.wait(EVERY_S):
                row = connection.execute(SESSIONS).fetchone()
                assert row is not None
                sessions.at_ns.append(time.perf_counter_ns())
                sessions.active.append(row[0])
                sessions.idle.append(row[1])

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield sessions
        finally:
            over.set()
            watcher.join()


def over_time(trial: Trial, readings: Readings, sessions: Sessions) -> Figure:
    """Above: threads and connections in use over time. Beneath: requests answered and refused."""
    fig = figure(8, 4.6)
    use, ended = fig.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    seen = readings.since(trial.start_ns, trial.seconds)
    use.step(_ms(trial, seen.at_ns), seen.tokens, color=COLOURS[0], where="post", label="threads")
    at_ms = _ms(trial, np.array(sessions.at_ns))
    use.step(at_ms, sessions.idle, color=COLOURS[1], where="post", label="connections taken, idle")
    use.step(
        at_ms, sessions.active, color=COLOURS[2], where="post", label="connections with a query"
    )
    use.set_ylabel("in use", fontsize=9)
    for index, (label, error) in enumerate((("answered", ""), ("refused", "status"))):
        done_ms = np.sort(_ms(trial, trial.rows["done_ns"][trial.rows["error"] == error]))
        count = np.arange(1, len(done_ms) + 1)
        ended.plot(done_ms, count, ".", color=COLOURS[3 + index], ms=3, label=label)
    ended.set_ylabel("requests, added up", fontsize=9)
    ended.set_xlabel("ms since the start", fontsize=9)
    ended.set_xlim(0, trial.makespan_ms * 1.02)
    for axes in (use, ended):
        axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
        axes.grid(True, lw=0.3, color="#cccccc")
    return fig


def _ms(trial: Trial, at_ns: npt.NDArray[np.int64]) -> Milliseconds:
    """Milliseconds since the start of the trial."""
    since: Milliseconds = (at_ns - trial.start_ns) / 1e6
    return since
