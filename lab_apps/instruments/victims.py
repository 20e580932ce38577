"""The experiment of a bystander: one route blocks, another route's requests are watched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lab_apps.instruments.load import send
from lab_apps.instruments.queueing import victim_waits
from lab_apps.instruments.schedule import Schedule, poisson
from lab_apps.instruments.server import Server
from lab_apps.instruments.trial import Milliseconds, Trial, percentile_ms, said_ms
from lab_apps.instruments.wire import Stream

if TYPE_CHECKING:
    import pandas as pd

DELAYED_MS = 2.0  # a wait beyond this counts as delayed: well above the floor's own spread
WARM_UP_S = 0.3
SEED = 20220829  # of the draws from the null arm


class Route(NamedTuple):
    """A path, the exact body it must answer with (None for any), and what is sent to it."""

    path: str
    body: bytes | None
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    payload: bytes = b""

    def stream(self, name: str, schedule: Schedule) -> Stream:
        """Requests to this route, every body checked."""
        return Stream(
            name,
            self.path,
            schedule,
            self.body,
            method=self.method,
            headers=self.headers,
            body=self.payload,
        )


@dataclass(frozen=True)
class Alone:
    """The victim with nothing beside it: the null arm, and the two inputs of every prediction.

    `response_ms` are its responses, `floor_ms` their median; `own_ms` is what one request costs the
    loop's thread in CPU time (the floor where the platform can't tell).
    """

    trial: Trial
    response_ms: Milliseconds
    floor_ms: float
    own_ms: float

    def added_to(self, waits_ms: Milliseconds) -> Milliseconds:
        """Responses to expect from these waits: to each a response of the null arm is added."""
        drawn = np.random.default_rng(SEED).choice(self.response_ms, len(waits_ms))
        added: Milliseconds = waits_ms + drawn
        return added


@dataclass(frozen=True)
class Beside:
    """The victim beside blockers. Times in ms, one value per victim request in order of arrival.

    `rho` is the share of time that the blockers sent would hold the loop. `wait_ms` is what each
    victim would wait if each of them held it in turn, by Lindley's recursion for exactly these
    instants, and `predicted_ms` the response to expect from that. For a blocker that does not hold
    the loop they are what was avoided. Both are computed before anything is sent.
    """

    trial: Trial
    blockers: int
    rho: float
    victim_ms: Milliseconds
    wait_ms: Milliseconds
    predicted_ms: Milliseconds
    floor_ms: float
    null_delayed: float = 0.0  # the same share as `delayed`, of the null arm

    @property
    def delayed(self) -> float:
        """Share of victim requests that took 2 ms longer than the null arm's median."""
        return float(np.mean(self.victim_ms > self.floor_ms + DELAYED_MS))

    @property
    def predicted_delayed(self) -> float:
        """The same share as predicted."""
        return float(np.mean(self.predicted_ms > self.floor_ms + DELAYED_MS))


def describe(points: Sequence[Beside]) -> str:
    """The picture of the utilisation law in words: percentiles and share delayed at each point."""
    said = []
    for point in points:
        shown = {q: said_ms(point.victim_ms, q) for q in (50, 95, 99)}
        times = ", ".join(f"p{q} {ms}" for q, ms in shown.items() if ms != "–")
        said.append(f"{point.rho:.1%}: {times} ms, {point.delayed:.1%} delayed")
    worst = max(
        abs(float(np.percentile(point.victim_ms, 95) / np.percentile(point.predicted_ms, 95)) - 1)
        for point in points
    )
    return (
        f"The victim beside blocking routes, by their rho: {'; '.join(said)}. The p95 is at most"
        f" {worst:.0%} off its prediction. Beside def and await it stays on the floor."
    )


def frame(points: Iterable[Beside]) -> pd.DataFrame:
    """Measured and predicted p95 and p99 in ms and share delayed, a line for each point.

    A percentile with too few values beyond it is "–".
    """
    import pandas as pd

    lines = []
    for point in points:
        lines.append(
            {
                "ρ": round(point.rho, 3),
                "calls": point.blockers,
                "p95 ms": said_ms(point.victim_ms, 95),
                "predicted p95": said_ms(point.predicted_ms, 95),
                "p99 ms": said_ms(point.victim_ms, 99),
                "predicted p99": said_ms(point.predicted_ms, 99),
                "delayed": f"{point.delayed:.1%}",
                "predicted delayed": f"{point.predicted_delayed:.1%}",
            }
        )
    return pd.DataFrame(lines).set_index("ρ")


def takeoff(points: Sequence[Beside], percentile: float) -> tuple[float, float]:
    """The last ρ at which the percentile was not delayed and the first from which it always was.

    Delayed beyond the share that is delayed in the null arm too, which is the machine's own doing.
    The crossover lies between the two; (0, ...) or (..., inf) where the sweep does not enclose it.
    """
    ordered = sorted(points, key=lambda point: point.rho)
    share = 1 - percentile / 100
    clear = [point.rho for point in ordered if point.delayed - point.null_delayed <= share]
    last = max(clear, default=0.0)
    return last, next((p.rho for p in ordered if p.rho > last), float("inf"))


def alone(server: Server, victim: Route, *, rate: float, seconds: float, seed: int) -> Alone:
    """Send the victim's requests alone (Poisson at `rate`), after a warm-up that is discarded."""
    cpu_s: list[float | None] = []
    trials: list[Trial] = []
    for duration_s in (WARM_UP_S, seconds):
        before_s = server.loop_cpu_s()
        stream = victim.stream("victim", poisson(rate, duration_s, seed=seed))
        trials.append(send(server.url, stream))
        after_s = server.loop_cpu_s()
        cpu_s.append(None if before_s is None or after_s is None else after_s - before_s)
    warm_up, trial = trials
    floor_ms = own_ms = percentile_ms(trial.response_ms, 50)
    more = len(trial.rows) - len(warm_up.rows)
    if cpu_s[0] is not None and cpu_s[1] is not None and more > 0:
        # The difference leaves out what both have cost alike, such as opening the connections.
        own_ms = max(0.0, (cpu_s[1] - cpu_s[0]) / more * 1e3)
    return Alone(trial, trial.response_ms, floor_ms, own_ms)


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
    wait_ms = victim_waits(victims.at_s * 1e3, blockers.at_s * 1e3, hold_ms, null.own_ms)
    predicted_ms = null.added_to(wait_ms)
    rho = len(blockers.at_s) * hold_ms / 1e3 / seconds
    trial = send(server.url, blocker.stream("blocker", blockers), victim.stream("victim", victims))
    rows = np.sort(trial.stream("victim").rows, order="intended_ns")
    victim_ms = (rows["done_ns"] - rows["intended_ns"]) / 1e6
    return Beside(
        trial,
        len(blockers.at_s),
        rho,
        victim_ms,
        wait_ms,
        predicted_ms,
        null.floor_ms,
        float(np.mean(null.response_ms > null.floor_ms + DELAYED_MS)),
    )
