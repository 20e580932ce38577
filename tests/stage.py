"""A stage for rounds: servers and arms that are stubs and keep a log."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np

from lab_apps.instruments.claims import Pair
from lab_apps.instruments.rounds import Rounds
from lab_apps.instruments.server import Server
from lab_apps.instruments.trial import ROW, Trial

Arm: TypeAlias = Callable[[Server, int], Trial]


def trial(value_ms: float, *, error: str = "", wait_s: float = 0.0) -> Trial:
    rows = np.zeros(1, dtype=ROW)
    rows["intended_ns"] = rows["sent_ns"] = 1
    rows["done_ns"] = 1 + round(value_ms * 1e6)
    rows["error"] = error
    return Trial(rows, ("one",), 1, 1.0, 0.0, wait_s)


class StubServer(Server):
    """Counts, and waits for a core as told."""

    def __init__(self) -> None:
        self.waited_s = 0.0

    def run_queue_wait_s(self) -> float:
        return self.waited_s


class Stage:
    """A stub of all that a round needs; `log` has every start, arm and stop in order.

    What arms answer stands in `ms`; `error` and the waits are those of the arms in `spoiled`.
    """

    def __init__(self) -> None:
        self.log: list[str] = []
        self.started = 0
        self.ms = {"a": 4.0, "b": 1.0, "c": 9.0}
        self.spoiled = "abc"
        self.error = ""
        self.server_waits_s = self.client_waits_s = 0.0

    @contextlib.contextmanager
    def server(self, name: str = "") -> Iterator[Server]:
        self.started += 1
        self.log.append(f"start{name}")
        yield StubServer()
        self.log.append(f"stop{name}")

    def arm(self, name: str) -> Arm:
        def run(server: Server, number: int) -> Trial:
            assert isinstance(server, StubServer)
            self.log.append(f"{name}{number}")
            spoiled = name in self.spoiled
            server.waited_s += spoiled * self.server_waits_s
            error, wait_s = spoiled * self.error, spoiled * self.client_waits_s
            return trial(self.ms[name], error=error, wait_s=wait_s)

        return run

    def arms(self, names: str = "ab") -> dict[str, Arm]:
        return {name: self.arm(name) for name in names}

    def rounds(self, seed: int = 0, names: str = "ab") -> Rounds[Trial]:
        return Rounds(self.server, self.arms(names), seed=seed)


def value(a: Trial, b: Trial) -> tuple[float, float]:
    return float(a.response_ms[0]), float(b.response_ms[0])


def take(rounds: Rounds[Trial], count: int, a: str = "a", b: str = "b") -> list[Pair]:
    return list(itertools.islice(rounds.pairs(a, b, value), count))
