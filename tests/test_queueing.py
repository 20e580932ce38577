"""Predictions against a queue served step by step, and against formulae they were not made with."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pytest

from lab_apps.instruments.queueing import (
    long_run_waits,
    mean_wait,
    outlook,
    victim_waits,
    wait_percentiles,
    waits,
)

Array: TypeAlias = npt.NDArray[np.float64]
INFINITE = float("inf")


def step_by_step(at: Array, service: Array) -> Array:
    """Serve one after the other, first come first served."""
    free = 0.0
    waited = []
    for arrival, takes in zip(at, service, strict=True):
        begins = max(arrival, free)
        waited.append(begins - arrival)
        free = begins + takes
    return np.array(waited)


def wait_share(t: float, rho: float) -> float:
    """P(wait <= t) in an M/D/1 queue with service time 1 (A. K. Erlang, 1909)."""
    terms = (
        (rho * (k - t)) ** k / math.factorial(k) * math.exp(-rho * (k - t))
        for k in range(math.floor(t) + 1)
    )
    return (1 - rho) * math.fsum(terms)


def check_waits(find: Callable[[Array, Array], Array]) -> None:
    rng = np.random.default_rng(11)
    for rho in (0.1, 0.5, 0.95, 1.3):
        at = np.cumsum(rng.exponential(1, 3000))
        for service in (np.full(3000, rho), rng.exponential(rho, 3000)):
            np.testing.assert_allclose(find(at, service), step_by_step(at, service), atol=1e-8)
    same = np.zeros(4)
    np.testing.assert_allclose(find(same, np.full(4, 2.0)), [0, 2, 4, 6])
    np.testing.assert_allclose(find(np.array([5.0]), np.array([2.0])), [0])


def test_waits_are_those_of_a_queue_served_step_by_step() -> None:
    check_waits(waits)
    assert len(waits(np.array([]), np.array([]))) == 0


@pytest.mark.parametrize(
    "broken",
    [
        lambda at, service: waits(at, service * 1.05),
        lambda at, service: waits(at, service) + service,
        lambda at, service: waits(at, np.roll(service, 1)),
        lambda at, service: np.maximum(0, waits(at, service) - 0.01),
    ],
)
def test_check_sees_a_wrong_queue(broken: Callable[[Array, Array], Array]) -> None:
    with pytest.raises(AssertionError):
        check_waits(broken)


@pytest.mark.parametrize("rho", [0.1, 0.3, 0.5, 0.7])
def test_simulated_mean_is_pollaczek_and_khinchines(rho: float) -> None:
    at = np.cumsum(np.random.default_rng(12).exponential(1 / rho, 1_000_000))
    simulated = waits(at, np.ones(len(at)))
    assert simulated.mean() == pytest.approx(mean_wait(rho, 1), rel=0.02)
    assert np.mean(simulated == 0) == pytest.approx(1 - rho, abs=0.003)


@pytest.mark.parametrize("rho", [0.05, 0.3, 0.5, 0.8, 0.9])
def test_percentiles_are_erlangs(rho: float) -> None:
    hold_s = 0.05
    percentiles = (10.0, 50.0, 90.0, 95.0, 99.0)
    for q, wait_s in zip(percentiles, wait_percentiles(rho, hold_s, percentiles), strict=True):
        if q / 100 < 1 - rho:
            assert wait_s == 0
        else:
            assert wait_share(wait_s / hold_s, rho) == pytest.approx(q / 100, abs=0.005)


@pytest.mark.parametrize(("rho", "p99"), [(0.3, 1.8909), (0.5, 3.3363), (0.8, 10.3559)])
def test_known_percentiles(rho: float, p99: float) -> None:
    """In units of the hold; found by inverting Erlang's formula."""
    assert wait_share(p99, rho) == pytest.approx(0.99, abs=0.00001)
    assert wait_percentiles(rho, 1, (99,))[0] == pytest.approx(p99, rel=0.03)


def test_percentile_sets_in_where_rho_exceeds_the_rest() -> None:
    """The p99 notices ρ = 0.012, and not ρ = 0.008."""
    assert wait_percentiles(0.008, 1, (99,)) == [0]
    assert 0 < wait_percentiles(0.012, 1, (99,))[0] < 0.5


def test_percentiles_repeat() -> None:
    assert wait_percentiles(0.4, 1, (50, 99)) == wait_percentiles(0.4, 1, (50, 99))


def test_limits_of_the_law() -> None:
    assert wait_percentiles(1, 0.05, (1, 99)) == [INFINITE, INFINITE]
    assert wait_percentiles(7, 0.05, (99,)) == [INFINITE]
    assert wait_percentiles(0, 0.05, (1, 99)) == [0, 0]
    assert mean_wait(20, 0.05) == INFINITE
    assert mean_wait(0, 0.05) == 0
    assert mean_wait(10, 0.05) == pytest.approx(0.5 * 0.05 / (2 * 0.5))


def test_victims_wait_behind_blockers() -> None:
    victims, blockers = np.array([0.0, 11.0, 12.0, 40.0]), np.array([10.0, 13.0])
    np.testing.assert_allclose(victim_waits(victims, blockers, 5, 0), [0, 4, 3, 0])
    # Each victim costs the loop 1 as well, and each blocker 1 more than it holds.
    np.testing.assert_allclose(victim_waits(victims, blockers, 5, 1), [0, 5, 5, 0])


def test_victims_and_blockers_none_at_all() -> None:
    none, some = np.array([]), np.array([1.0, 2.0])
    np.testing.assert_array_equal(victim_waits(some, none, 5, 0.1), [0, 0])
    assert len(victim_waits(none, some, 5, 0.1)) == 0
    assert len(victim_waits(none, none, 5, 0.1)) == 0


def test_victims_are_served_in_order_of_arrival_with_the_blockers() -> None:
    rng = np.random.default_rng(13)
    victims, blockers = np.sort(rng.uniform(0, 100, 500)), np.sort(rng.uniform(0, 100, 40))
    at = np.concatenate([victims, blockers])
    service = np.concatenate([np.full(500, 0.02), np.full(40, 1.02)])
    order = np.argsort(at)
    waited = np.empty(540)
    waited[order] = step_by_step(at[order], service[order])
    np.testing.assert_allclose(victim_waits(victims, blockers, 1, 0.02), waited[:500], atol=1e-9)


def test_share_of_victims_delayed_is_rho() -> None:
    """Whoever arrives at a moment of their own meets a busy loop with probability ρ (PASTA)."""
    rng = np.random.default_rng(14)
    for rho in (0.02, 0.3, 0.7):
        blockers = np.cumsum(rng.exponential(1 / rho, 200_000))
        victims = np.sort(rng.uniform(0, blockers[-1], 200_000))
        delayed = np.mean(victim_waits(victims, blockers, 1, 0) > 0)
        assert delayed == pytest.approx(rho, abs=0.006)


def test_outlook() -> None:
    text = outlook(6, 0.05)
    assert "ρ = 0.300: 30.0% of all other requests wait" in text
    assert f"{0.3 * 50 / (2 * 0.7):.2f} ms" in text
    assert "p99 feels it from 0.2 calls a second, p95 from 1, p50 from 10; at 20" in text
    for rate in (20, 1000):
        assert "never catches up" in outlook(rate, 0.05)
    for bad in ((0, 0.05), (6, 0), (-1, 0.05), (float("nan"), 0.05)):
        with pytest.raises(ValueError, match="greater than 0"):
            outlook(*bad)


@pytest.mark.parametrize("rho", [0.05, 0.3, 0.6])
def test_long_run_of_victims_that_cost_nothing_is_the_law(rho: float) -> None:
    waited = long_run_waits(rho, 1, 3, 0)
    assert np.mean(waited > 0) == pytest.approx(rho, abs=0.01)
    assert waited.mean() == pytest.approx(mean_wait(rho, 1), rel=0.06)
    for q, wait in zip((95, 99), wait_percentiles(rho, 1, (95, 99)), strict=True):
        assert np.percentile(waited, q) == pytest.approx(wait, rel=0.06, abs=0.01)


def test_long_run_counts_what_everybody_costs() -> None:
    """Mean wait of an M/G/1 queue with two kinds of requests: λ E(S²) / 2(1 - ρ)."""
    rho, hold, rate, own = 0.3, 1.0, 2.0, 0.1
    blockers = rho / hold
    busy = blockers * (hold + own) + rate * own
    expected = (blockers * (hold + own) ** 2 + rate * own**2) / (2 * (1 - busy))
    assert long_run_waits(rho, hold, rate, own).mean() == pytest.approx(expected, rel=0.04)
    assert len(long_run_waits(0.9, 1, 2, 0.1)) == 0  # 0.9 × 1.1 + 2 × 0.1 > 1
