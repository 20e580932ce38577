"""Rounds for a verdict: both arms in coin-flip order against a server started for that round."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from lab_apps.instruments.claims import Pair, count_failed
from lab_apps.instruments.notebook import Progress
from lab_apps.instruments.server import Server
from lab_apps.instruments.trial import Trial

WAIT_SHARE = 0.2  # of a burst that server or client may spend ready to run without a core


class HasTrial(Protocol):
    """What an arm gives back: anything with the trial it rests on."""

    @property
    def trial(self) -> Trial:
        """The trial."""
        ...


Result = TypeVar("Result", bound=HasTrial)


@dataclass(frozen=True)
class Round(Generic[Result]):
    """What both arms gave in one round, and what spoils it (see `claims.Pair`)."""

    a: Result
    b: Result
    failed: Mapping[str, int]
    invalid: str


class Rounds(Generic[Result]):
    """Rounds of two arms, run when they are asked for and kept, so that claims can share them.

    A server is started anew for every round: what differs between starts (hash seeds, memory
    layout, ports) is then drawn again each time and can't pass for an effect. The order of the arms
    is a seeded coin's, so that drift of the machine is as likely to help one arm as the other. Arms
    are called with the server and the round's number, from which they draw the same schedule. A
    round in which the server's loop or the client waited for a core longer than 20% of the burst
    doesn't count.
    """

    def __init__(
        self,
        server: Callable[[], AbstractContextManager[Server]],
        a: Callable[[Server, int], Result],
        b: Callable[[Server, int], Result],
        *,
        seed: int = 0,
    ) -> None:
        self._server, self._arms = server, (a, b)
        self._coin = random.Random(seed)
        self._done: list[Round[Result]] = []

    def pairs(self, values: Callable[[Result, Result], tuple[float, float]]) -> Iterator[Pair]:
        """Endless pairs for `claims.judge`: `values` of what arm a and arm b gave."""
        with Progress("rounds") as progress:
            number = 0
            while True:
                if number == len(self._done):
                    self._done.append(self._run(number))
                one = self._done[number]
                number += 1
                progress.step()
                yield Pair(*values(one.a, one.b), one.failed, one.invalid)

    def _run(self, number: int) -> Round[Result]:
        results: list[Result | None] = [None, None]
        disturbed: list[str] = []
        order = [0, 1]
        self._coin.shuffle(order)
        with self._server() as server:
            for index in order:
                before_s = server.run_queue_wait_s() or 0.0
                result = results[index] = self._arms[index](server, number)
                waits_s = {
                    "server": (server.run_queue_wait_s() or 0.0) - before_s,
                    "client": result.trial.client_wait_s,
                }
                disturbed += [
                    f"{who} without a core for {wait_s:.3f} s in arm {'ab'[index]}"
                    for who, wait_s in waits_s.items()
                    if wait_s > WAIT_SHARE * result.trial.seconds
                ]
        a, b = results
        assert a is not None
        assert b is not None
        return Round(a, b, count_failed([a.trial, b.trial]), "; ".join(disturbed))
