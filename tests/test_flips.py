"""Where curves cross a level: exact for power laws, and never made up."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from lab_apps.instruments.flips import crossing, crossings
from lab_apps.instruments.sequential import median_interval

X = (1.0, 2.0, 3.0, 10.0, 50.0, 60.0)


def law(factor: float, power: float) -> list[float]:
    """y = factor × x^power: a straight line on log axes, which crosses where the formula says."""
    return [factor * x**power for x in X]


def check_crossing(crossing: Callable[[Sequence[float], Sequence[float], float], float]) -> None:
    for power in (0.5, 1, 3, -0.5, -1, -3):
        for at in (1.5, 2.7, 7, 49, 50.1):
            y = law(at**-power, power)
            assert crossing(X, y, 1) == pytest.approx(at)
            assert crossing(X, [1e3 * value for value in y], 1e3) == pytest.approx(at)
    for points in (X, X[::-1]):
        for x, level in zip(X, points, strict=True):
            assert crossing(X, points, level) == pytest.approx(x)  # at a point, the ends among them
    for level in (0.99, 60.1):
        assert math.isnan(crossing(X, X, level))
    # Up, down and up again: the first time. From 1 to 4 it passes 2 halfway, on log axes.
    assert crossing(X, [1, 4, 1, 4, 1, 4], 2) == pytest.approx(math.sqrt(2))
    assert crossing(X, [4, 1, 4, 1, 4, 1], 2) == pytest.approx(math.sqrt(2))


def test_crossing() -> None:
    check_crossing(crossing)


def linear(x: Sequence[float], y: Sequence[float], level: float) -> float:
    """As `crossing` with log axes, wrongly, on plain ones."""
    return math.log(crossing([math.exp(v) for v in x], [math.exp(v) for v in y], math.exp(level)))


def last(x: Sequence[float], y: Sequence[float], level: float) -> float:
    """The last one instead of the first."""
    return 1 / crossing([1 / value for value in reversed(x)], list(reversed(y)), level)


@pytest.mark.parametrize(
    "broken",
    [
        last,
        lambda x, y, level: crossing(x, y, level * 1.01),
        lambda x, y, level: float(np.interp(level, y, x)),
        lambda x, y, level: min(x, key=lambda at: abs(y[x.index(at)] - level)),
        lambda x, y, level: np.nan_to_num(crossing(x, y, level)),
    ],
    ids=["the last", "1% off", "plain axes", "nearest point", "always one"],
)
def test_check_sees_a_wrong_crossing(
    broken: Callable[[Sequence[float], Sequence[float], float], float],
) -> None:
    with pytest.raises(AssertionError):
        check_crossing(broken)


def test_one_point() -> None:
    assert crossing([3], [7], 7) == 3
    assert math.isnan(crossing([3], [7], 8))


# Several runs.


@pytest.mark.parametrize("power", [2, -2])
def test_median_and_interval_of_runs(power: int) -> None:
    at = [5, 3, 4, 20, 8, 6, 7]
    runs = [law(float(one) ** -power, power) for one in at]
    middle, interval = crossings(X, runs, 1, rising=power > 0)
    assert middle == pytest.approx(6)
    assert interval == pytest.approx((3, 20))
    assert interval == pytest.approx(median_interval([*map(float, at)]))


def test_too_few_runs_have_no_interval() -> None:
    runs = [law(1 / at, 1) for at in (3, 4, 5, 6, 7)]
    middle, interval = crossings(X, runs, 1, rising=True)
    assert middle == pytest.approx(5)
    assert interval is None
    assert crossings(X, [*runs, runs[0]], 1, rising=True)[1] == pytest.approx((3, 7))


@pytest.mark.parametrize(
    ("factor", "rising", "found"),
    [
        (0.001, True, math.inf),  # still below the level at the end
        (1000, True, 0),  # above it from the beginning
        (1000, False, math.inf),
        (0.001, False, 0),
    ],
)
def test_run_that_does_not_cross(factor: float, rising: bool, found: float) -> None:
    outside = [factor] * len(X)
    assert crossings(X, [outside] * 7, 1, rising=rising) == (found, (found, found))
    power = 1 if rising else -1
    inside = [law(float(at) ** -power, power) for at in (3, 4, 5, 6, 7, 8)]
    middle, interval = crossings(X, [*inside, outside], 1, rising=rising)
    assert middle == pytest.approx(6 if found else 5)
    assert interval == pytest.approx((3, math.inf) if found else (0, 8))
