"""Where a measured curve crosses a level: the number at which advice flips."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import numpy as np

from lab_apps.instruments.sequential import median_interval


def crossing(x: Sequence[float], y: Sequence[float], level: float) -> float:
    """The first x at which the points, joined by lines on log axes, cross `level`.

    nan where they lie on one side of it throughout. `x` in increasing order; x, y and level > 0.
    """
    log_x, height = np.log(np.asarray(x, float)), np.log(np.asarray(y, float) / level)
    for left in range(len(log_x) - 1):
        one, two = height[left], height[left + 1]
        if one == 0:
            return float(x[left])
        if one * two < 0:
            return float(np.exp(log_x[left] + (log_x[left + 1] - log_x[left]) * one / (one - two)))
    return float(x[-1]) if height[-1] == 0 else float("nan")


def crossings(
    x: Sequence[float], runs: Sequence[Sequence[float]], level: float, *, rising: bool
) -> tuple[float, tuple[float, float] | None]:
    """Median of the crossings of several runs of the same sweep, and its interval.

    The interval is that of `sequential.median_interval`, None with too few runs. A run that does
    not cross counts as one that crosses before the sweep (0) or beyond it (infinity); for that
    `rising` tells whether the curve comes from below the level.
    """
    found = []
    for run in runs:
        at = crossing(x, run, level)
        beyond = (run[0] < level) == rising
        found.append(at if np.isfinite(at) else float("inf") if beyond else 0.0)
    return median(found), median_interval(found)
