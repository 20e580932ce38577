"""Schedules are data: the same arguments give the same instants, and those have the right law."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from lab_apps.instruments.schedule import Closed, Open, closed, paced, poisson

RATE, SECONDS = 250.0, 80.0  # 20,000 arrivals
NAN, INFINITE = float("nan"), float("inf")


def check_poisson(make: Callable[[int], Open]) -> None:
    """Arrivals at `RATE` over `SECONDS`: count, gaps and independence, within 4 standard errors."""
    at_s = make(1).at_s
    expected = RATE * SECONDS
    assert abs(len(at_s) - expected) < 4 * math.sqrt(expected)
    gaps = np.diff(at_s)
    n = len(gaps)
    assert abs(gaps.mean() * RATE - 1) < 4 / math.sqrt(n)
    # Kolmogorov and Smirnov's distance to 1 - exp(-rate x); 1.95 / sqrt(n) is the 0.1% point.
    law = 1 - np.exp(-RATE * np.sort(gaps))
    ranks = np.arange(n + 1) / n
    distance = max(np.max(ranks[1:] - law), np.max(law - ranks[:-1]))
    assert distance < 1.95 / math.sqrt(n)
    correlation = np.corrcoef(gaps[:-1], gaps[1:])[0, 1]
    assert abs(correlation) < 4 / math.sqrt(n)
    # The number in a second is itself Poisson: its variance equals its mean.
    counts = np.bincount(at_s.astype(int), minlength=int(SECONDS))
    assert abs(counts.var() / counts.mean() - 1) < 4 * math.sqrt(2 / SECONDS)
    # And other seeds give other instants.
    assert not np.array_equal(at_s[:10], make(2).at_s[:10])


def seeded(seed: int) -> Open:
    return poisson(RATE, SECONDS, seed=seed)


def test_poisson() -> None:
    check_poisson(seeded)


@pytest.mark.parametrize(
    "broken",
    [
        lambda _: paced(RATE, SECONDS),
        lambda seed: poisson(RATE * 1.05, SECONDS, seed=seed),
        lambda _: poisson(RATE, SECONDS, seed=1),
        lambda seed: Open(np.round(seeded(seed).at_s, 3), "rounded to a millisecond"),
        lambda seed: Open(np.repeat(seeded(seed).at_s[::2], 2), "in pairs"),
        lambda seed: Open(
            np.cumsum(np.random.default_rng(seed).uniform(0, 2 / RATE, int(RATE * SECONDS))), "even"
        ),
    ],
    ids=["paced", "5% more", "one seed", "rounded", "in pairs", "uniform gaps"],
)
def test_check_sees_what_is_not_poisson(broken: Callable[[int], Open]) -> None:
    with pytest.raises(AssertionError):
        check_poisson(broken)


def test_same_seed_same_instants() -> None:
    np.testing.assert_array_equal(seeded(7).at_s, seeded(7).at_s)
    first = seeded(7).at_s
    np.random.seed(4)  # whatever the state of numpy's own generator
    np.testing.assert_array_equal(first, seeded(7).at_s)


@pytest.mark.parametrize("seed", range(20))
def test_in_order_and_within_the_time(seed: int) -> None:
    at_s = poisson(30, 0.5, seed=seed, start_s=2).at_s
    assert np.all(np.diff(at_s) >= 0)
    assert np.all((at_s >= 2) & (at_s < 2.5))


def test_number_of_arrivals_is_poisson_too() -> None:
    counts = np.array([len(poisson(2, 1, seed=seed).at_s) for seed in range(2000)])
    assert abs(counts.mean() - 2) < 4 * math.sqrt(2 / 2000)
    assert abs(np.mean(counts == 0) - math.exp(-2)) < 4 * math.sqrt(math.exp(-2) / 2000)


def test_start_only_shifts() -> None:
    shifted = poisson(50, 1, seed=3, start_s=5).at_s
    np.testing.assert_allclose(shifted - 5, poisson(50, 1, seed=3).at_s)
    np.testing.assert_allclose(paced(50, 1, start_s=5).at_s - 5, paced(50, 1).at_s)


@pytest.mark.parametrize(
    ("rate", "seconds", "count"), [(100, 1, 100), (3, 2, 6), (0.5, 4, 2), (0.1, 1, 1), (7, 0.5, 4)]
)
def test_paced(rate: float, seconds: float, count: int) -> None:
    made = paced(rate, seconds)
    assert made.kind == "paced"
    np.testing.assert_allclose(made.at_s, [number / rate for number in range(count)])


def test_closed() -> None:
    assert closed(3, requests=5) == Closed(3, 5, None)
    assert closed(3, seconds=0.5) == Closed(3, None, 0.5)
    assert closed(1, requests=2, seconds=3.0) == Closed(1, 2, 3.0)


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda: closed(0, requests=1), "users"),
        (lambda: closed(-3, requests=1), "users"),
        (lambda: closed(1), "requests or seconds"),
        (lambda: closed(1, requests=0), "requests"),
        (lambda: closed(1, seconds=0), "seconds"),
        (lambda: closed(1, requests=1, seconds=-1), "seconds"),
        (lambda: closed(1, seconds=NAN), "seconds"),
        (lambda: paced(0, 1), "rate"),
        (lambda: paced(1, 0), "seconds"),
        (lambda: paced(NAN, 1), "rate"),
        (lambda: poisson(-1, 1, seed=1), "rate"),
        (lambda: poisson(1, NAN, seed=1), "seconds"),
        (lambda: Open(np.array([0.2, 0.1]), "mine"), "in order"),
        (lambda: Open(np.array([-0.1, 0.1]), "mine"), "in order"),
        (lambda: Open(np.array([0.1, NAN]), "mine"), "finite"),
        (lambda: Open(np.array([INFINITE]), "mine"), "finite"),
    ],
)
def test_bad_input_is_refused_by_name(make: Callable[[], object], names: str) -> None:
    with pytest.raises(ValueError, match=names):
        make()
