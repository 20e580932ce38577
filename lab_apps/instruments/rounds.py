"""Rounds for a verdict: both arms in coin-flip order against a server started for that round."""

from __future__ import annotations

import contextlib
import random
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from lab_apps.instruments.claims import Pair, count_failed
from lab_apps.instruments.notebook import Progress
from lab_apps.instruments.server import Server
from lab_apps.instruments.trial import Trial

MAX_WAIT_S = 0.06  # 20% of a burst of 0.3 s


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

    A server is started anew for every round: what differs between starts (memory layout, ports,
    the pool's threads) is then drawn again each time and can't pass for an effect. The order of the
    arms is a coin's, so that drift of the machine is as likely to help one arm as the other. Arms
    are called with the server and the round's number; both draw their schedule from it, with `seed`
    as the origin. A round in which the server's loop or the client was ready to run and had no core
    for more than `max_wait_s` in either arm, warm-up included, doesn't count; the limit is the same
    for both arms.
    """

    def __init__(
        self,
        server: Callable[[], AbstractContextManager[Server]],
        a: Callable[[Server, int], Result],
        b: Callable[[Server, int], Result],
        *,
        server_b: Callable[[], AbstractContextManager[Server]] | None = None,
        max_wait_s: float = MAX_WAIT_S,
        seed: int | None = None,
    ) -> None:
        """`server` serves both arms, or arm a alone where arm b needs a `server_b` of its own.

        Without a `seed` each instance draws one; the attribute `seed` tells which.
        """
        self._servers, self._arms = (server, server_b or server), (a, b)
        self._shared = server_b is None
        self._max_wait_s = max_wait_s
        self.seed = secrets.randbelow(10**6) if seed is None else seed
        self._coin = random.Random(self.seed)
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
                a, b = values(one.a, one.b)
                yield Pair(float(a), float(b), one.failed, one.invalid)

    def _run(self, number: int) -> Round[Result]:
        order = [0, 1]
        self._coin.shuffle(order)
        results: dict[int, Result] = {}
        disturbed: list[str] = []
        with contextlib.ExitStack() as stack:
            shared = stack.enter_context(self._servers[0]()) if self._shared else None
            for index in order:
                with contextlib.nullcontext(shared) if shared else self._servers[index]() as server:
                    results[index] = self._measure(index, server, number, disturbed)
        a, b = results[0], results[1]
        return Round(a, b, count_failed([a.trial, b.trial]), "; ".join(disturbed))

    def _measure(self, index: int, server: Server, number: int, disturbed: list[str]) -> Result:
        """One arm's result; adds to `disturbed` where the machine was too busy for it."""
        before_s = server.run_queue_wait_s() or 0.0
        result = self._arms[index](server, number)
        waits_s = {
            "server": (server.run_queue_wait_s() or 0.0) - before_s,
            "client": result.trial.client_wait_s,
        }
        disturbed += [
            f"{who} without a core for {wait_s:.3f} s in arm {'ab'[index]}"
            for who, wait_s in waits_s.items()
            if wait_s > self._max_wait_s
        ]
        return result
