"""Pictures of memory: every value is there, predictions are lines, the size is marked."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.lines import Line2D

from lab_apps.instruments import memory_pictures
from lab_apps.instruments.footprint import Samples
from lab_apps.instruments.memory_pictures import FLOOR_MIB

PANELS: dict[str, dict[str, dict[int, list[float]]]] = {
    "form": {"whole": {1: [8.0], 4: [32.0, 33.0]}, "chunks": {1: [2.0], 4: [0.1]}},
    "raw": {"stream": {1: [1.0], 4: [2.5]}},
}


def ys(line: Line2D) -> list[float]:
    return [float(value) for value in np.asarray(line.get_ydata())]


def xs(line: Line2D) -> list[float]:
    return [float(value) for value in np.asarray(line.get_xdata())]


def test_peaks() -> None:
    predicted = {"size × n": lambda n: 8 * n, "chunks": lambda n: n}
    fig = memory_pictures.peaks(PANELS, predicted)
    form, raw = fig.axes
    drawn = {line.get_label(): line for line in form.get_lines()}
    assert ys(drawn["whole"]) == [8, 32, 33]
    assert ys(drawn["chunks"]) == [2, FLOOR_MIB]  # none below the floor
    both = [line for line in form.get_lines() if len(xs(line)) > 3]
    assert len(both) == 2
    for line in both:
        slope = np.diff(ys(line)) / np.diff(xs(line))
        assert slope == pytest.approx(slope[0])
    assert {line.get_color() for line in both} == {"black", drawn["chunks"].get_color()}
    # A prediction of a label is drawn where that is, one of nobody's everywhere.
    assert len([line for line in raw.get_lines() if len(xs(line)) > 3]) == 1
    assert form.get_title() == "form"


def test_over_time() -> None:
    ms = np.arange(5)
    grown = np.linspace(0, 32, 5)
    samples = Samples(10**9 + ms * 10**6, grown, grown * 0, grown * 0, grown / 2, grown * 0)
    fig = memory_pictures.over_time({"one": samples, "two": samples}, size_mib=32)
    for axes in fig.axes:
        size, anon, tmpfs, cache = axes.get_lines()
        assert set(ys(size)) == {32}
        assert xs(anon) == [0, 1, 2, 3, 4]
        assert ys(anon) == list(grown)
        assert ys(tmpfs) == list(grown / 2)
        assert set(ys(cache)) == {0}
