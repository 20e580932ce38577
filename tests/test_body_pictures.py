"""Pictures of bodies: every value is in them, where it belongs."""

from __future__ import annotations

import numpy as np
import pytest

from lab_apps.instruments.body_pictures import SPREAD, Column, kinds, sizes
from lab_apps.instruments.plots import GREY


def test_every_value_is_a_dot_in_the_row_of_its_kind() -> None:
    ms = {"null": [1.0, 2.0, 3.0], "a": [10.0, 20.0]}
    mib = {"null": [7.0], "a": [7.5]}
    fig = kinds([Column("ms", ms), Column("MiB", mib, log=False, across=4)], null="null")
    for axes, values in zip(fig.axes, (ms, mib), strict=True):
        dots = [line for line in axes.lines if line.get_marker() == "."]
        assert [np.array(line.get_xdata()).tolist() for line in dots] == list(values.values())
        for rank, line in enumerate(dots):
            assert np.all(np.abs(np.asarray(line.get_ydata()) - rank) <= SPREAD)
        assert [line.get_color() == GREY for line in dots] == [True, False]
        downs = [line for line in axes.lines if np.array(line.get_ydata()).tolist() == [0, 1]]
        assert np.array(downs[0].get_xdata())[0] == np.median(values["null"])
    assert [axes.get_xscale() for axes in fig.axes] == ["log", "linear"]
    assert [label.get_text() for label in fig.axes[0].get_yticklabels()] == ["null", "a"]
    assert any(line.get_linestyle() == ":" for line in fig.axes[1].lines)


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
    assert (line.get_color(), np.array(line.get_ydata()).tolist()) == ("black", [1100, 2200])
    assert [np.array(plain.get_xdata()).tolist(), np.array(plain.get_ydata()).tolist()] == [
        [10, 20],
        [1000, 2000],
    ]
    assert np.array(cut.get_ydata()).tolist() == [100, 100]
    assert axes.get_xscale() == axes.get_yscale() == "log"
