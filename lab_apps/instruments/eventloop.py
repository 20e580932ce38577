"""How late a server's event loop runs its timers, and how many pool threads are in use."""

from __future__ import annotations

import asyncio
import time
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from anyio import CapacityLimiter

INTERVAL_S = 0.025  # to wake an idle loop costs 0.1 ms of CPU: this is under 1% of its time


class Probe:
    """A timer on the loop that notes every `INTERVAL_S` how late it is called.

    A loop that is blocked for B seconds calls the timer that fell due meanwhile late by what was
    left of B, so a block shorter than the interval may pass between two ticks. The event-loop
    delay is what Node's `perf_hooks.monitorEventLoopDelay` calls by that name. The loop's own
    timers are rounded to a millisecond, which is the floor of the reading.
    """

    def __init__(self, limiter: CapacityLimiter) -> None:
        self._limiter = limiter
        self._at_ns = array("q")
        self._delay_ns = array("q")
        self._tokens = array("l")
        self._due_ns = 0
        self._handle: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Start on the running loop; to be called there."""
        self._loop = asyncio.get_running_loop()
        self._schedule(time.perf_counter_ns())

    def stop(self) -> None:
        """Stop; to be called on the loop."""
        if self._handle is not None:
            self._handle.cancel()

    def _schedule(self, now_ns: int) -> None:
        assert self._loop is not None
        self._due_ns = now_ns + round(INTERVAL_S * 1e9)
        self._handle = self._loop.call_later(INTERVAL_S, self._tick)

    def _tick(self) -> None:
        now_ns = time.perf_counter_ns()
        self._at_ns.append(now_ns)
        self._delay_ns.append(max(0, now_ns - self._due_ns))
        self._tokens.append(self._limiter.borrowed_tokens)
        self._schedule(now_ns)

    def readings(self) -> Readings:
        """All ticks so far, as arrays."""
        count = len(self._tokens)  # the loop may append meanwhile; _tokens comes last
        return Readings(
            np.array(self._at_ns[:count], dtype=np.int64),
            np.array(self._delay_ns[:count], dtype=np.int64) / 1e6,
            np.array(self._tokens[:count], dtype=np.int64),
        )


@dataclass(frozen=True)
class Readings:
    """Ticks of a `Probe`: `at_ns` (perf_counter_ns), `delay_ms`, `tokens` (pool threads in use)."""

    at_ns: npt.NDArray[np.int64]
    delay_ms: npt.NDArray[np.float64]
    tokens: npt.NDArray[np.int64]

    def since(self, start_ns: int, seconds: float) -> Readings:
        """The ticks of the `seconds` from `start_ns` on, such as those of one trial."""
        keep = (self.at_ns >= start_ns) & (self.at_ns <= start_ns + seconds * 1e9)
        return Readings(self.at_ns[keep], self.delay_ms[keep], self.tokens[keep])
