"""What one run of load gave: a row per request, and summaries computed from the rows."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from lab_apps.instruments.wire import Sent

if TYPE_CHECKING:
    import pandas as pd

Milliseconds: TypeAlias = npt.NDArray[np.float64]

BEYOND = 10  # values that must lie beyond a percentile for it to be shown

ROW = np.dtype(
    [
        ("stream", "i2"),
        ("connection", "i4"),
        ("intended_ns", "i8"),
        ("sent_ns", "i8"),
        ("first_byte_ns", "i8"),
        ("done_ns", "i8"),
        ("status", "i2"),
        ("bytes", "i8"),
        ("error", "U8"),
    ]
)


@dataclass(frozen=True)
class Trial:
    """The requests of one run, in the order in which they ended.

    `rows` is a structured array of dtype `ROW` (see `wire.Row` for the fields), `start_ns` the
    origin of the schedules on the clock of `time.perf_counter_ns`, `seconds` the time until the
    last answer, `client_cpu_s` the CPU time the load worker spent on it, `client_wait_s` how long
    it was ready to run and had no core. `peers` is what the streams' `identify` was answered with,
    by stream and connection, `scheduled` how many requests each stream had to send (None where time
    decided), `in_flight_s` the time that all were in flight, as counted by the sender.
    """

    rows: npt.NDArray[np.void]
    streams: tuple[str, ...]
    start_ns: int
    seconds: float
    client_cpu_s: float
    client_wait_s: float
    peers: Mapping[tuple[int, int], bytes] = field(default_factory=dict)
    scheduled: tuple[int | None, ...] = ()
    in_flight_s: float | None = None

    @classmethod
    def of(cls, sent: Sent, streams: tuple[str, ...]) -> Trial:
        """The trial for what the load worker gave back."""
        rows = np.array([tuple(row) for row in sent.rows], dtype=ROW)
        seconds = (sent.end_ns - sent.start_ns) / 1e9
        cost = (seconds, sent.cpu_s, sent.wait_s)
        counts = (sent.peers, sent.scheduled, sent.in_flight_s)
        return cls(rows, streams, sent.start_ns, *cost, *counts)

    def stream(self, name: str) -> Trial:
        """The same trial with the rows of one stream. Raises ValueError for an unknown name."""
        if name not in self.streams:
            raise ValueError(f"this trial has the streams {self.streams}, not {name!r}")
        index = self.streams.index(name)
        rows = self.rows[self.rows["stream"] == index]
        scheduled = tuple(n if i == index else 0 for i, n in enumerate(self.scheduled))
        return dataclasses.replace(self, rows=rows, scheduled=scheduled, in_flight_s=None)

    @property
    def trial(self) -> Trial:
        """Itself, so that a bare trial can be what an arm of `rounds.Rounds` gives back."""
        return self

    @property
    def response_ms(self) -> Milliseconds:
        """From the intended instant to the last byte: what a user waits. Timeouts count in full.

        Requests that were never sent (refused, dropped) have no response; `errors` counts them.
        """
        return self._between("intended_ns", "done_ns")

    @property
    def service_ms(self) -> Milliseconds:
        """From the actual sending to the last byte, for requests that were sent."""
        return self._between("sent_ns", "done_ns")

    @property
    def send_lag_ms(self) -> Milliseconds:
        """From the intended instant until the first bytes are with the kernel: the client's own."""
        return self._between("intended_ns", "sent_ns")

    def _between(self, start: str, end: str) -> Milliseconds:
        span: Milliseconds = (self.rows[end] - self.rows[start])[self.rows["sent_ns"] > 0] / 1e6
        return span

    @property
    def errors(self) -> dict[str, int]:
        """Number of requests that did not end as expected, by kind; {} where all did."""
        return dict(Counter(str(e) for e in self.rows["error"] if e))

    @property
    def makespan_ms(self) -> float:
        """From the start of the schedule to the last answer; 0 where there were no requests."""
        return float((self.rows["done_ns"].max(initial=self.start_ns) - self.start_ns) / 1e6)

    @property
    def rps(self) -> float:
        """Requests answered as expected, per second until the last answer."""
        answered = np.count_nonzero(self.rows["error"] == "")
        return answered / (self.makespan_ms / 1e3) if answered else 0.0

    def at_s(self, moment: str) -> npt.NDArray[np.float64]:
        """Seconds from the start of the schedule to `intended`, `sent`, `first_byte` or `done`."""
        return (self.rows[f"{moment}_ns"] - self.start_ns) / 1e9

    def frame(self) -> pd.DataFrame:
        """The rows as a DataFrame, with the stream's name and the times in ms from the start."""
        import pandas as pd

        table = pd.DataFrame(self.rows)
        table["stream"] = [self.streams[index] for index in self.rows["stream"]]
        for moment in ("intended", "sent", "first_byte", "done"):
            stamps = table.pop(f"{moment}_ns")
            table[f"{moment}_ms"] = ((stamps - self.start_ns) / 1e6).where(stamps > 0)
        return table


def percentile_ms(times_ms: Milliseconds, q: float) -> float:
    """The `q`-th percentile (0..100) of `times_ms`; nan for none. Linear interpolation."""
    return float(np.percentile(times_ms, q)) if len(times_ms) else float("nan")


def shown_ms(times_ms: Milliseconds, q: float) -> float:
    """The same where at least `BEYOND` values lie beyond it, else nan: for what a reader is shown.

    So a median takes 20 values, a p95 200, a p99 1,000. With ten beyond it, the order statistics
    that enclose a percentile with 95% (W. J. Conover, Practical Nonparametric Statistics, 3rd ed.,
    3.2) are on either side of it; with fewer the upper one soon does not exist.
    """
    beyond = len(times_ms) * (1 - q / 100)
    return percentile_ms(times_ms, q) if round(beyond, 6) >= BEYOND else float("nan")


def said_ms(times_ms: Milliseconds, q: float) -> str:
    """The same as text with one decimal, "–" for nan."""
    value_ms = shown_ms(times_ms, q)
    return f"{value_ms:.1f}" if np.isfinite(value_ms) else "–"
