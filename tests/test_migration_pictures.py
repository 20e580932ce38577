"""Pictures of migrations: every request is a point, waits are shaded, the prediction is a line."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.lines import Line2D

from lab_apps.instruments.migration_pictures import Panel, over_time
from lab_apps.instruments.table_locks import Span
from lab_apps.instruments.trial import ROW, Trial

SECOND = 10**9


def trial() -> Trial:
    """Two posts and a user, due at 1, 2 and 3 s, answered 10, 20 and 30 ms later; and one lost."""
    rows = np.zeros(4, ROW)
    rows["stream"] = [0, 0, 1, 1]
    rows["intended_ns"] = np.array([1, 2, 3, 4]) * SECOND
    rows["done_ns"] = rows["intended_ns"] + np.array([10, 20, 30, 40]) * 10**6
    rows["error"] = ["", "", "", "timeout"]
    return Trial(rows, ("posts", "users"), 0, 5.0, 0.0, 0.0)


def points(line: Line2D) -> list[tuple[float, float]]:
    return [
        (float(x), float(y))
        for x, y in zip(np.asarray(line.get_xdata()), np.asarray(line.get_ydata()), strict=True)
    ]


def test_over_time() -> None:
    span = Span(2 * SECOND, 3 * SECOND, 3 * SECOND, None)
    waiting = Panel(trial(), span, [(2 * SECOND, 3 * SECOND)], {0.0: 1000.0, 1.0: 1.0})
    fig = over_time({"quiet": Panel(trial(), span), "waiting": waiting}, mark="report ends")
    quiet, behind = fig.axes
    drawn = {str(line.get_label()): line for line in behind.get_lines()}
    assert points(drawn["posts"]) == [(-1, 10), (0, 20)]
    assert points(drawn["users"]) == [(1, 30)]
    assert points(drawn["predicted"]) == [(0, 1000), (1, 1)]
    crosses = [line for line in behind.get_lines() if line.get_marker() == "x"]
    assert [points(line) for line in crosses] == [[], [(2, 0.97)]]
    (shaded,) = behind.patches
    assert shaded.get_extents().transformed(behind.transData.inverted()).x0 == pytest.approx(0)
    assert not quiet.patches
    assert {text.get_text() for text in behind.texts} == {"report ends"}
    assert [axes.get_yscale() for axes in fig.axes] == ["log", "log"]
    legend = quiet.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["posts", "users", "predicted"]


def test_without_a_mark() -> None:
    fig = over_time({"one": Panel(trial(), Span(0, SECOND, SECOND, None))})
    assert not fig.axes[0].texts
    assert len(fig.axes[0].get_lines()) == 5
