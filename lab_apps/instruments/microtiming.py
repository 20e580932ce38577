"""Calls of microseconds, compared: paired, in rounds, each round in a process of its own."""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from os import getpid
from statistics import median
from typing import TYPE_CHECKING, Any, TypeAlias

from lab_apps.instruments import machine, sequential
from lab_apps.instruments.child import Child
from lab_apps.instruments.claims import Pair
from lab_apps.instruments.notebook import Progress

if TYPE_CHECKING:
    import pandas as pd

BURST_S = 0.002  # at least, so that the clock and a burst's own loop are below 0.1% of it
BURSTS = 9  # of each arm in a round
MAX_WAIT = 0.2  # of an arm's time; beyond it the round doesn't count

Work: TypeAlias = Callable[[], object]
Arm: TypeAlias = tuple[Callable[..., Work], tuple[Any, ...]]
Interval: TypeAlias = tuple[float, float]


@dataclass(frozen=True)
class Burst:
    """The time of one call as the mean over a burst, and for how long the burst had no core."""

    call_us: float
    wait_s: float
    seconds: float


class Microtiming:
    """Rounds of named arms, run when they are asked for and kept, so that claims can share them.

    An arm is `(prepare, args)`: `prepare(*args)` is not timed and returns the work, a function
    without arguments, which is. `prepare` must be a module's function and `args` such that they can
    be pickled, since each round is a fresh process: what differs between processes (memory layout,
    hash seeds, what is cached) is then drawn again each time and can't pass for an effect (T.
    Kalibera and R. Jones, Rigorous Benchmarking in Reasonable Time, ISMM 2013). In it each arm's
    work is called once to warm up and then in bursts of at least 2 ms, nine of each arm, which
    take turns in an order that is drawn for each turn. The value of a round is the median burst.
    The garbage collector is on, as in a server.
    """

    def __init__(self, arms: Mapping[str, Arm], *, seed: int | None = None) -> None:
        """Without a `seed` each instance draws one; the attribute `seed` tells which.

        Raises ValueError where there are no arms.
        """
        if not arms:
            raise ValueError("no arms to time: give at least one, as {name: (prepare, args)}")
        self._arms = dict(arms)
        self.seed = secrets.randbelow(10**6) if seed is None else seed
        self._done: list[dict[str, list[Burst]]] = []

    @property
    def done(self) -> int:
        """Number of rounds run so far."""
        return len(self._done)

    def complete(self, number: int) -> None:
        """Run rounds until there are `number`. Raises what an arm raises."""
        with Progress("rounds of timing", number) as progress:
            progress.done = min(self.done, number)
            while self.done < number:
                self._done.append(self._run(self.done))
                progress.step()

    def values_us(self, arm: str) -> list[float]:
        """µs a call, one value per round so far. Raises ValueError for an unknown arm."""
        self._check(arm)
        return [_value_us(one[arm]) for one in self._done]

    def median_us(self, arm: str) -> float:
        """The median of these. Raises ValueError for an unknown arm, or before the first round."""
        return median(self._some(self.values_us(arm)))

    def interval_us(self, arm: str) -> Interval:
        """Between which two rounds' values the median lies, with at least 95%.

        Raises ValueError for an unknown arm, or before the sixth round.
        """
        return _interval(self.values_us(arm))

    def ratio(self, a: str, b: str) -> tuple[float, Interval]:
        """The median of a/b over the rounds, and its interval, likewise."""
        ratios = [x / y for x, y in zip(self.values_us(a), self.values_us(b), strict=True)]
        return median(self._some(ratios)), _interval(ratios)

    def table(self) -> pd.DataFrame:
        """A line for each arm: the median in µs a call, and its interval. Errors as above."""
        import pandas as pd

        lines = {arm: (self.median_us(arm), *self.interval_us(arm)) for arm in self._arms}
        columns = ["median µs", "from", "to"]
        return pd.DataFrame.from_dict(lines, orient="index", columns=columns)

    def pairs(self, a: str, b: str) -> Iterator[Pair]:
        """Endless pairs for `claims.judge`: µs a call of the arms named `a` and `b`.

        An arm is disturbed where the process was ready to run and had no core for more than 20% of
        its bursts' time. Raises ValueError for an unknown arm.
        """
        self._check(a, b)
        return self._pairs(a, b)

    def _pairs(self, a: str, b: str) -> Iterator[Pair]:
        with Progress("rounds of timing") as progress:
            number = 0
            while True:
                if number == self.done:
                    self._done.append(self._run(number))
                one = self._done[number]
                number += 1
                progress.step()
                disturbed = _disturbed(one[a]), _disturbed(one[b])
                yield Pair(_value_us(one[a]), _value_us(one[b]), disturbed=disturbed)

    def _run(self, number: int) -> dict[str, list[Burst]]:
        child = Child(f"{__name__}:_round")
        try:
            bursts: dict[str, list[Burst]] = child.call(self._arms, f"{self.seed}, {number}")
            return bursts
        finally:
            child.close()

    def _check(self, *names: str) -> None:
        for name in names:
            if name not in self._arms:
                there_are = ", ".join(map(repr, self._arms))
                raise ValueError(f"no arm {name!r}: there are {there_are}")

    @staticmethod
    def _some(values: list[float]) -> list[float]:
        if not values:
            raise ValueError("no rounds yet: call complete(number) first")
        return values


def _value_us(bursts: list[Burst]) -> float:
    return median(burst.call_us for burst in bursts)


def _disturbed(bursts: list[Burst]) -> str:
    wait_s, seconds = sum(b.wait_s for b in bursts), sum(b.seconds for b in bursts)
    if wait_s <= MAX_WAIT * seconds:
        return ""
    return f"the process had no core for {wait_s / seconds:.0%} of the time"


def _interval(values: list[float]) -> Interval:
    interval = sequential.median_interval(values)
    if interval is None:
        raise ValueError(f"an interval takes at least six rounds, here are {len(values)}")
    return interval


def _round(arms: Mapping[str, Arm], seed: str) -> dict[str, list[Burst]]:
    """One round, in the process it is called in."""
    coin = random.Random(seed)
    order = list(arms)
    coin.shuffle(order)  # also of preparing, which decides where things lie in memory
    works = {name: arms[name][0](*arms[name][1]) for name in order}
    calls = {name: _calls(work) for name, work in works.items()}
    bursts: dict[str, list[Burst]] = {name: [] for name in arms}
    for _ in range(BURSTS):
        coin.shuffle(order)
        for name in order:
            bursts[name].append(_burst(works[name], calls[name]))
    return bursts


def _calls(work: Work) -> int:
    """How many calls a burst takes: doubled until it is long enough."""
    work()
    calls = 1
    while _burst(work, calls).seconds < BURST_S:
        calls *= 2
    return calls


def _burst(work: Work, calls: int) -> Burst:
    turns = range(calls)
    waited_s = _waited_s()
    begun_ns = time.perf_counter_ns()
    for _ in turns:
        work()
    lasted_ns = time.perf_counter_ns() - begun_ns
    return Burst(lasted_ns / 1e3 / calls, _waited_s() - waited_s, lasted_ns / 1e9)


def _waited_s() -> float:
    return machine.run_queue_wait_s(getpid(), threading.get_native_id()) or 0.0
