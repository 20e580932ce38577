"""Rounds for a verdict: every arm in coin-flip order against a server started for that round."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeAlias, TypeVar

from lab_apps.instruments import selfcheck
from lab_apps.instruments.claims import Pair, count_failed
from lab_apps.instruments.notebook import Progress
from lab_apps.instruments.server import Server
from lab_apps.instruments.trial import Trial

MAX_WAIT_S = 0.06  # 20% of a burst of 0.3 s

Start: TypeAlias = Callable[[], AbstractContextManager[Server]]


class HasTrial(Protocol):
    """What an arm gives back: anything with the trial it rests on."""

    @property
    def trial(self) -> Trial:
        """The trial."""
        ...


Result = TypeVar("Result", bound=HasTrial)


@dataclass(frozen=True)
class Measured(Generic[Result]):
    """What one arm gave in one round, and "" or what disturbed the machine meanwhile."""

    result: Result
    disturbed: str


class Rounds(Generic[Result]):
    """Rounds of named arms, run when they are asked for and kept, so that claims can share them.

    A server is started anew for every round: what differs between starts (memory layout, ports,
    the pool's threads) is then drawn again each time and can't pass for an effect. The order of the
    arms is a coin's, so that drift of the machine is as likely to help one arm as another. Arms
    are called with the server and the round's number; all draw their schedule from it, with `seed`
    as the origin. An arm is disturbed where the server's loop or the client was ready to run and
    had no core for more than `max_wait_s` in it, warm-up included, or where the client fails its
    own check (`selfcheck.faults`); the rules are the same for all.
    """

    def __init__(
        self,
        server: Start | Mapping[str, Start],
        arms: Mapping[str, Callable[[Server, int], Result]],
        *,
        max_wait_s: float = MAX_WAIT_S,
        seed: int | None = None,
    ) -> None:
        """`server` starts the one that all arms of a round share, or maps each arm to its own.

        An arm's own server runs for that arm alone. Without a `seed` each instance draws one; the
        attribute `seed` tells which. Raises ValueError where arms and servers differ in names.
        """
        if isinstance(server, Mapping) and server.keys() != arms.keys():
            raise ValueError(f"servers for {_names(server)}, but the arms are {_names(arms)}")
        self._server, self._arms = server, dict(arms)
        self._max_wait_s = max_wait_s
        self.seed = secrets.randbelow(10**6) if seed is None else seed
        self._coin = random.Random(self.seed)
        self._done: list[dict[str, Measured[Result]]] = []

    @property
    def done(self) -> int:
        """Number of rounds run so far."""
        return len(self._done)

    def complete(self, number: int) -> None:
        """Run rounds until there are `number`: for a picture, where no claim has asked for them."""
        with Progress("rounds", number) as progress:
            while self.done < number:
                self._done.append(self._run(self.done))
                progress.step()

    def results(self, arm: str) -> list[Result]:
        """What that arm gave, one result per round so far. Raises ValueError for an unknown arm."""
        self._check(arm)
        return [one[arm].result for one in self._done]

    def pairs(
        self, a: str, b: str, values: Callable[[Result, Result], tuple[float, float]]
    ) -> Iterator[Pair]:
        """Endless pairs for `claims.judge`: `values` of what the arms named `a` and `b` gave.

        Failed requests and disturbances of these two arms alone count; `a` and `b` may be the same
        arm, against its own prediction for instance. Raises ValueError for an unknown arm.
        """
        self._check(a, b)
        return self._pairs(a, b, values)

    def _pairs(
        self, a: str, b: str, values: Callable[[Result, Result], tuple[float, float]]
    ) -> Iterator[Pair]:
        with Progress("rounds") as progress:
            number = 0
            while True:
                if number == len(self._done):
                    self._done.append(self._run(number))
                one = self._done[number]
                number += 1
                progress.step()
                value_a, value_b = values(one[a].result, one[b].result)
                both = [one[name] for name in dict.fromkeys((a, b))]
                failed = count_failed(arm.result.trial for arm in both)
                disturbed = one[a].disturbed, one[b].disturbed
                yield Pair(float(value_a), float(value_b), failed, disturbed)

    def _run(self, number: int) -> dict[str, Measured[Result]]:
        order = list(self._arms)
        self._coin.shuffle(order)
        if not isinstance(self._server, Mapping):
            with self._server() as shared:
                return {name: self._measure(name, shared, number) for name in order}
        measured = {}
        for name in order:
            with self._server[name]() as own:
                measured[name] = self._measure(name, own, number)
        return measured

    def _measure(self, name: str, server: Server, number: int) -> Measured[Result]:
        before_s = server.run_queue_wait_s() or 0.0
        result = self._arms[name](server, number)
        waits_s = {
            "server": (server.run_queue_wait_s() or 0.0) - before_s,
            "client": result.trial.client_wait_s,
        }
        disturbed = [
            f"{who} without a core for {wait_s:.3f} s"
            for who, wait_s in waits_s.items()
            if wait_s > self._max_wait_s
        ]
        return Measured(result, "; ".join(disturbed + selfcheck.faults(result.trial)))

    def _check(self, *names: str) -> None:
        for name in names:
            if name not in self._arms:
                raise ValueError(f"no arm {name!r}: there are {_names(self._arms)}")


def _names(mapping: Mapping[str, object]) -> str:
    return ", ".join(map(repr, mapping))
