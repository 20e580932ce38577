"""Pictures of bodies: every value is in them, where it belongs."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.lines import Line2D

from lab_apps.instruments.body_pictures import SPREAD, Column, kinds, sizes
from lab_apps.instruments.plots import GREY


def xs(line: Line2D) -> list[float]:
    return [float(x) for x in np.array(line.get_xdata())]


def ys(line: Line2D) -> list[float]:
    return [float(y) for y in np.array(line.get_ydata())]


def test_every_value_is_a_dot_in_the_row_of_its_kind() -> None:
    ms = {"null": [1.0, 2.0, 3.0], "a": [10.0, 20.0]}
    mib = {"null": [7.0], "a": [7.5]}
    fig = kinds([Column("ms", ms), Column("MiB", mib, log=False, across=4)], null="null")
    for axes, values in zip(fig.axes, (ms, mib), strict=True):
        dots = [line for line in axes.lines if line.get_marker() == "."]
        assert [xs(line) for line in dots] == list(values.values())
        for rank, line in enumerate(dots):
            assert np.all(np.abs(np.array(ys(line)) - rank) <= SPREAD)
        assert [line.get_color() == GREY for line in dots] == [True, False]
        for rank, of in enumerate(values.values()):
            (bar,) = (line for line in axes.lines if ys(line) == [rank - 0.38, rank + 0.38])
            assert xs(bar) == [np.median(of)] * 2
        downs = [(line.get_linestyle(), xs(line)[0]) for line in axes.lines if ys(line) == [0, 1]]
        assert downs[0] == ("-", np.median(values["null"]))
        assert downs[1:] == ([(":", 4)] if values is mib else [])
    assert [axes.get_xscale() for axes in fig.axes] == ["log", "linear"]
    assert [label.get_text() for label in fig.axes[0].get_yticklabels()] == ["null", "a"]


def test_columns_of_other_kinds_are_refused() -> None:
    with pytest.raises(ValueError, match=r"MiB has \['b'\], not \['a'\]"):
        kinds([Column("ms", {"a": [1]}), Column("MiB", {"b": [1]})])


def test_sizes_are_markers_and_the_prediction_a_line() -> None:
    panels: dict[str, dict[str, dict[float, float]]] = {
        "bytes out": {"plain": {10: 1000, 20: 2000}, "cut": {10: 100, 20: 100}}
    }
    fig = sizes(panels, {"bytes out": {10: 1100, 20: 2200}}, xlabel="bytes in")
    (axes,) = fig.axes
    line, plain, cut = axes.lines
    assert (line.get_color(), ys(line)) == ("black", [1100, 2200])
    assert [xs(plain), ys(plain)] == [
        [10, 20],
        [1000, 2000],
    ]
    assert ys(cut) == [100, 100]
    assert axes.get_xscale() == axes.get_yscale() == "log"
