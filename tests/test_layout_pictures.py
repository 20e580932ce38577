"""Pictures of layouts: every size that occurs, the band of shuffled labels, and the flip."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from test_layout import history, human, project
from test_plots import drawn, points

from lab_apps.instruments.layout_pictures import folders_touched
from lab_apps.instruments.layout_study import Study, study
from lab_apps.instruments.plots import COLOURS


@pytest.fixture(scope="module")
def mealie() -> Study:
    return study(human(project("mealie")))


def panel(one: Study) -> Axes:
    (axes,) = folders_touched([one]).axes
    return axes


def test_line_and_band_have_every_size(mealie: Study) -> None:
    axes = panel(mealie)
    sizes = [bucket for bucket in mealie.sizes if bucket.commits]
    bands = [one for one in axes.collections if isinstance(one, PolyCollection)]
    names = ("mean_domains", "mean_kinds")
    for name, line, band, colour in zip(names, drawn(axes), bands, COLOURS, strict=False):
        assert line.get_color() == colour
        assert points(line) == [(b.size[0], b.observed[name]) for b in sizes]
        corners = {(float(x), float(y)) for x, y in np.asarray(band.get_paths()[0].vertices)}
        for b in sizes:
            assert {(b.size[0], b.null[name].low), (b.size[0], b.null[name].high)} <= corners
    assert axes.get_title(loc="left") == "mealie: 309 commits, 30 domains, 5 kinds"


def test_flip_is_marked_with_its_number_and_interval(mealie: Study) -> None:
    axes = panel(replace(mealie, flip=6.0, flip_interval=(5.0, 9.0)))
    line = next(line for line in axes.lines if line.get_linestyle() == "--")
    assert set(np.asarray(line.get_xdata()).tolist()) == {5.5}  # before commits of 6 files
    assert axes.texts[0].get_text() == "by type from 6 files\n(5 … 9)"
    (span,) = axes.patches
    assert span.get_extents().x0 == pytest.approx(axes.transData.transform((4.5, 1))[0])
    assert span.get_extents().x1 == pytest.approx(axes.transData.transform((8.5, 1))[0])
    unsure = panel(replace(mealie, flip_interval=(5.0, np.inf)))
    assert unsure.texts[0].get_text() == "by type from 6 files\n(5 … inf)"


def test_no_flip_is_said() -> None:
    axes = panel(study(history("a1 a2", "a1 b2 b1"), permutations=99))
    assert [text.get_text() for text in axes.texts] == ["no flip seen"]
    assert not [line for line in axes.lines if line.get_linestyle() == "--"]
    assert points(drawn(axes)[0]) == [(2, 1), (3, 2)]


def test_a_panel_each_on_the_same_scales(mealie: Study) -> None:
    fig = folders_touched([mealie, replace(mealie, name="a$_{b$c"), mealie])
    fig.draw_without_rendering()
    assert [axes.axison for axes in fig.axes] == [True, True, True, False]
    assert len({axes.get_ylim() for axes in fig.axes}) == 1
    assert fig.axes[1].get_title(loc="left").startswith("a$_{b$c: ")
    (legend,) = filter(None, (axes.get_legend() for axes in fig.axes))
    assert [text.get_text() for text in legend.get_texts()] == [
        "by domain",
        "by type",
        "by domain, shuffled labels",
        "by type, shuffled labels",
        "flip",
    ]
