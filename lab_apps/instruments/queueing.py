"""What a queue in front of one server does to those who wait in it: predictions, no measurement.

An event loop serves one callback at a time, in order of arrival. Requests that block it for a
fixed time S and arrive independently of each other at a rate of λ per second make it an M/D/1
queue (Poisson arrivals, Deterministic service, 1 server) with utilisation ρ = λS. Nothing
here is fitted to a measurement.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]

ARRIVALS = 400_000  # of a simulated queue; the p99 is then good to about 1% at ρ = 0.5
SEED = 20220829


def waits(at: Array, service: Array) -> Array:
    """Waiting time of each arrival in a first-come-first-served queue with one server.

    `at` are the instants in order, `service` the service times, both in the same unit, which is
    that of the answer. Lindley's recursion W' = max(0, W + service - gap) (D. V. Lindley, 1952),
    unrolled: W is the random walk minus its running minimum.
    """
    walk = np.concatenate([np.zeros(min(1, len(at))), np.cumsum(service[:-1] - np.diff(at))])
    waiting: Array = walk - np.minimum.accumulate(walk)
    return waiting


def mean_wait(rate: float, hold_s: float) -> float:
    """Mean wait in seconds of an M/D/1 queue: ρS / 2(1 - ρ) (Pollaczek and Khinchine, 1930-32).

    Infinite for ρ >= 1.
    """
    rho = rate * hold_s
    return rho * hold_s / (2 * (1 - rho)) if rho < 1 else float("inf")


def wait_percentiles(rho: float, hold_s: float, percentiles: tuple[float, ...]) -> list[float]:
    """Percentiles, in seconds, of the wait behind an M/D/1 queue of utilisation ρ and this hold.

    Holds for anyone who arrives at a moment that has nothing to do with the queue (PASTA: R. W.
    Wolff, 1982). A percentile q is 0 until ρ exceeds 1 - q: exactly a share of 1 - ρ waits not at
    all. By Lindley's recursion over a seeded stream; infinite for ρ >= 1.
    """
    if rho >= 1:
        return [float("inf") for _ in percentiles]
    if rho <= 0:
        return [0.0 for _ in percentiles]
    at = np.cumsum(np.random.default_rng(SEED).exponential(hold_s / rho, ARRIVALS))
    waiting = waits(at, np.full(ARRIVALS, hold_s))
    return [float(value) for value in np.percentile(waiting, percentiles)]


def long_run_waits(rho: float, hold: float, victim_rate: float, own: float) -> Array:
    """Waits of victims in a long seeded run: blockers of utilisation `rho` that each hold `hold`.

    Everybody costs the loop `own` besides, victims arrive at `victim_rate` per unit of time, all
    independently. Times in one unit. Empty where the loop would not keep up.
    """
    blocker_rate = rho / hold
    rate = blocker_rate + victim_rate
    if blocker_rate * (hold + own) + victim_rate * own >= 1:
        return np.empty(0)
    rng = np.random.default_rng(SEED)
    at = np.cumsum(rng.exponential(1 / rate, ARRIVALS))
    # Of a Poisson stream a random share is a Poisson stream too, and independent of the rest.
    blocks = rng.uniform(size=ARRIVALS) < blocker_rate / rate
    waiting = waits(at, np.where(blocks, hold + own, own))
    return waiting[~blocks]


def victim_waits(victim_at: Array, blocker_at: Array, hold: float, own: float) -> Array:
    """Wait of each victim behind these very blockers, each of which holds the loop for `hold`.

    `own` is what any request costs the loop besides. All in one unit. This is the prediction for
    one given schedule, so it has no sampling error.
    """
    at = np.concatenate([blocker_at, victim_at])
    order = np.argsort(at, kind="stable")
    service = np.concatenate([np.full(len(blocker_at), hold + own), np.full(len(victim_at), own)])
    waiting = np.empty_like(at)
    waiting[order] = waits(at[order], service[order])
    return waiting[len(blocker_at) :]


def outlook(rate: float, hold_s: float) -> str:
    """A few lines of text: what a route that blocks the loop does to the others at this rate.

    `rate` in calls a second to one process, `hold_s` in seconds. Raises ValueError unless both are
    greater than 0.
    """
    for name, value in (("rate", rate), ("hold_s", hold_s)):
        if not value > 0:
            raise ValueError(f"{name} must be greater than 0, not {value}")
    rho = rate * hold_s
    if rho >= 1:
        return f"ρ = {rho:.2f}: the loop never catches up, and waits grow until clients give up"
    p50, p95, p99 = (1e3 * wait_s for wait_s in wait_percentiles(rho, hold_s, (50, 95, 99)))
    return "\n".join(
        [
            f"ρ = {rho:.3f}: {rho:.1%} of all other requests wait, on average over all of them"
            f" {mean_wait(rate, hold_s) * 1e3:.2f} ms",
            f"added to their latency: p50 {p50:.0f} ms, p95 {p95:.0f} ms, p99 {p99:.0f} ms",
            f"p99 feels it from {0.01 / hold_s:.3g} calls a second, p95 from {0.05 / hold_s:.3g},"
            f" p50 from {0.5 / hold_s:.3g}; at {1 / hold_s:.3g} the line grows without end",
        ]
    )
