"""The experiment of a bystander: one route blocks, another route's requests are watched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lab_apps.instruments.load import send
from lab_apps.instruments.queueing import victim_waits
from lab_apps.instruments.schedule import Open, poisson
from lab_apps.instruments.server import Server
from lab_apps.instruments.trial import Milliseconds, Trial, percentile_ms
from lab_apps.instruments.wire import Stream

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
    """The victim beside blockers. Times in ms, one value per victim request.

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
    victim_ms = trial.stream("victim").response_ms
    return Beside(trial, rho, victim_ms, waiting_ms + null.floor_ms, null.floor_ms)
