"""The experiment of a bystander: one route blocks, another route's requests are watched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lab_apps.instruments.load import send
from lab_apps.instruments.queueing import victim_waits
from lab_apps.instruments.schedule import Open, poisson
from lab_apps.instruments.server import Server
from lab_apps.instruments.trial import Milliseconds, Trial, percentile_ms
from lab_apps.instruments.wire import Stream

if TYPE_CHECKING:
    import pandas as pd

DELAYED_MS = 2.0  # a wait beyond this counts as delayed: well above the floor's own spread


class Route(NamedTuple):
    """A path and the exact body it must answer with."""

    path: str
    body: bytes

    def stream(self, name: str, schedule: Open) -> Stream:
        """Requests to this route, every body checked."""
        return Stream(name, self.path, schedule, self.body)


@dataclass(frozen=True)
class Alone:
    """The victim with nothing beside it: the null arm.

    `floor_ms` is its median response, `own_ms` what one request costs the loop's thread in CPU
    time (the floor where the platform can't tell).
    """

    trial: Trial
    floor_ms: float
    own_ms: float


@dataclass(frozen=True)
class Beside:
    """The victim beside blockers. Times in ms, one value per victim request in order of arrival.

    `rho` is the share of time that the blockers sent would hold the loop. `predicted_ms` is the
    victim's response if each of them held it in turn: the floor plus the wait that Lindley's
    recursion gives for exactly these instants. For a blocker that doesn't hold the loop it is what
    was avoided.
    """

    trial: Trial
    rho: float
    victim_ms: Milliseconds
    predicted_ms: Milliseconds
    floor_ms: float

    @property
    def delayed(self) -> float:
        """Share of victim requests that waited more than 2 ms."""
        return float(np.mean(self.victim_ms > self.floor_ms + DELAYED_MS))

    @property
    def predicted_delayed(self) -> float:
        """The same share as predicted."""
        return float(np.mean(self.predicted_ms > self.floor_ms + DELAYED_MS))


def frame(points: Sequence[Beside]) -> pd.DataFrame:
    """Measured and predicted p95 and p99 in ms and share delayed, a line for each point."""
    import pandas as pd

    lines = []
    for point in points:
        measured_ms, predicted_ms = (
            np.percentile(times, (95, 99)) for times in (point.victim_ms, point.predicted_ms)
        )
        lines.append(
            {
                "ρ": round(point.rho, 3),
                "p95 ms": measured_ms[0].round(1),
                "predicted p95": predicted_ms[0].round(1),
                "p99 ms": measured_ms[1].round(1),
                "predicted p99": predicted_ms[1].round(1),
                "delayed": f"{point.delayed:.1%}",
                "predicted delayed": f"{point.predicted_delayed:.1%}",
            }
        )
    return pd.DataFrame(lines).set_index("ρ")


def takeoff(points: Sequence[Beside], percentile: float) -> tuple[float, float]:
    """The last ρ at which the percentile was not delayed and the first from which it always was.

    The crossover lies between the two; (0, ...) or (..., inf) where the sweep does not enclose it.
    """
    ordered = sorted(points, key=lambda point: point.rho)
    share = 1 - percentile / 100
    clear = [point.rho for point in ordered if point.delayed <= share]
    last = max(clear, default=0.0)
    return last, next((p.rho for p in ordered if p.rho > last), float("inf"))


def alone(server: Server, victim: Route, *, rate: float, seconds: float, seed: int) -> Alone:
    """Send the victim's requests alone (Poisson at `rate`), after a warm-up that is discarded."""
    send(server.url, victim.stream("victim", poisson(rate, 0.3, seed=seed)))
    before_s = server.loop_cpu_s()
    trial = send(server.url, victim.stream("victim", poisson(rate, seconds, seed=seed)))
    floor_ms = percentile_ms(trial.response_ms, 50)
    after_s = server.loop_cpu_s()
    if before_s is None or after_s is None:
        return Alone(trial, floor_ms, floor_ms)
    return Alone(trial, floor_ms, (after_s - before_s) / len(trial.rows) * 1e3)


def beside(
    server: Server,
    null: Alone,
    blocker: Route,
    victim: Route,
    *,
    hold_ms: float,
    blocker_rate: float,
    victim_rate: float,
    seconds: float,
    seed: int,
) -> Beside:
    """Send blockers and victims together, each Poisson at its rate; two independent seeds."""
    blockers = poisson(blocker_rate, seconds, seed=2 * seed)
    victims = poisson(victim_rate, seconds, seed=2 * seed + 1)
    trial = send(server.url, blocker.stream("blocker", blockers), victim.stream("victim", victims))
    waiting_ms = victim_waits(victims.at_s * 1e3, blockers.at_s * 1e3, hold_ms, null.own_ms)
    rho = len(blockers.at_s) * hold_ms / 1e3 / seconds
    rows = np.sort(trial.stream("victim").rows, order="intended_ns")
    victim_ms = (rows["done_ns"] - rows["intended_ns"]) / 1e6
    return Beside(trial, rho, victim_ms, waiting_ms + null.floor_ms, null.floor_ms)
