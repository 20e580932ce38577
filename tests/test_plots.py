"""Pictures, by what is drawn in them: every value, every label, and the text that says it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import matplotlib.colors
import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from test_victims import NOTHING

from lab_apps.instruments import machine, plots, postgres
from lab_apps.instruments.plots import COLOURS, GREY, MARKERS
from lab_apps.instruments.trial import ROW

MEASURED = {"def": {1.0: [3.0, 4.0], 10.0: [30.0]}, "async": {1.0: [1.0], 100.0: [1.0, 2.0, 3.0]}}
X = (1.0, 5.0, 100.0)


def drawn(axes: Axes) -> list[Line2D]:
    """Lines and points that are there, without those for the legend only."""
    return [line for line in axes.lines if points(line)]


def points(line: Line2D) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in np.asarray(line.get_xydata())]


def xs(line: Line2D) -> list[float]:
    return [x for x, _ in points(line)]


def ys(line: Line2D) -> list[float]:
    return [y for _, y in points(line)]


def legend(axes: Axes) -> list[str]:
    found = axes.get_legend()
    assert found is not None
    return [text.get_text() for text in found.get_texts()]


def against(**more: object) -> Axes:
    how: dict[str, object] = {"x": X, "xlabel": "calls", "ylabel": "ms", **more}
    predicted = how.pop("predicted", {"def": lambda x: 3 * x})
    (axes,) = plots.against_prediction(MEASURED, predicted, **how).axes  # type: ignore[arg-type]
    return axes


def test_every_value_and_its_prediction() -> None:
    axes = against()
    line, one, other = drawn(axes)
    assert points(line) == [(1, 3), (5, 15), (100, 300)]
    assert (line.get_color(), line.get_linestyle()) == (COLOURS[0], "-")
    assert points(one) == [(1, 3), (1, 4), (10, 30)]
    assert points(other) == [(1, 1), (100, 1), (100, 2), (100, 3)]
    for index, series in enumerate((one, other)):
        assert (series.get_color(), series.get_marker()) == (COLOURS[index], MARKERS[index])
        assert series.get_linestyle() == "None"
    assert legend(axes) == ["def", "async", "lines: predicted"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("calls", "ms")
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert (len(axes.texts), len(axes.patches)) == (0, 0)


def test_prediction_with_a_label_of_its_own() -> None:
    axes = against(predicted={"the law": lambda x: x})
    assert drawn(axes)[0].get_color() == "black"
    assert legend(axes) == ["the law", "def", "async"]
    both = against(predicted={"the law": lambda x: x, "async": lambda x: 2 * x})
    assert [line.get_color() for line in drawn(both)[:2]] == ["black", COLOURS[1]]
    assert legend(both) == ["the law", "def", "async", "lines: predicted"]
    assert legend(against(predicted={})) == ["def", "async"]


def test_level_and_flip() -> None:
    axes = against(level=7.0, flip=(2.0, 3.456))
    level = axes.lines[0]
    assert ys(level) == [7, 7]
    assert (level.get_color(), level.get_linestyle()) == (GREY, ":")
    (span,) = axes.patches
    corners = span.get_extents().transformed(axes.transData.inverted())
    assert (corners.x0, corners.x1) == pytest.approx((2, 3.456))
    (text,) = axes.texts
    assert isinstance(text, Annotation)
    assert (text.get_text(), text.xy) == ("2 … 3.5", (3.456, 0.96))


def test_a_flip_in_the_hundreds_is_plain() -> None:
    axes = against(flip=(361.0, 388.0))
    assert "360 … 390" in [text.get_text() for text in axes.texts]


@pytest.mark.parametrize(
    ("at", "log", "labels"),
    [
        ([1, 1.1, 2, 2.25, 1000], True, ["1", "2", "1000"]),
        ([0.123, 0.5, 12.5], True, ["0.12", "0.5", "12.5"]),
        ([0, 3, 4, 6, 100], False, ["0", "6", "100"]),
    ],
)
def test_ticks_are_values_measured_that_do_not_overlap(
    at: list[float], log: bool, labels: list[str]
) -> None:
    groups = {value: [1.0, 2.0] for value in at}
    figure = plots.against_prediction({"a": groups}, {}, x=at, xlabel="", ylabel="", log=log)
    (axes,) = figure.axes
    assert [tick.get_text() for tick in axes.get_xticklabels()] == labels
    assert axes.get_xscale() == ("log" if log else "linear")
    figure.canvas.draw()


# Strips, matrices, dots.


def test_strip() -> None:
    values = {"a": np.array([1.0, 2, 30]), "b": np.array([5.0]), "c": np.full(40, 7.0)}
    figure = plots.strip(values, xlabel="ms")
    (axes,) = figure.axes
    dots, bars = axes.lines[::2], axes.lines[1::2]
    for rank, (dot, bar, group) in enumerate(zip(dots, bars, values.values(), strict=True)):
        assert xs(dot) == group.tolist()
        assert all(abs(y - rank) <= 0.25 for y in ys(dot))
        middle = float(np.median(group))
        assert points(bar) == [(middle, rank - 0.38), (middle, rank + 0.38)]
    assert [text.get_text() for text in axes.texts] == ["2", "5", "7"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["a", "b", "c"]
    assert (axes.get_xlabel(), axes.get_xscale()) == ("ms", "log")
    low, high = axes.get_ylim()
    assert low > 2.38  # the first at the top, the last whole
    assert high < -0.38
    figure.canvas.draw()


def test_strip_of_more_than_there_are_colours() -> None:
    names = {str(number): np.array([number]) for number in range(1, 10)}
    (axes,) = plots.strip(names, xlabel="ms").axes
    assert len(axes.lines) == 18
    assert axes.lines[0].get_color() == axes.lines[12].get_color() != axes.lines[2].get_color()


COUNTS = {"blocks": {"def": 0, "await": 0}, "awaits": {"def": 5, "await": 4}}


def test_matrix_says_what_it_is_told() -> None:
    counts = {"a": {"one": 0.0, "two\nlines": 2.5}}
    fig = plots.matrix(counts, of=5, xlabel="", ylabel="", said=lambda mib: f"{mib:g} MiB")
    assert [text.get_text() for text in fig.axes[0].texts] == ["0 MiB", "2.5 MiB"]


def test_matrix() -> None:
    figure = plots.matrix(COUNTS, of=5, xlabel="victim", ylabel="holder")
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["0 of 5", "0 of 5", "5 of 5", "4 of 5"]
    assert [text.get_position() for text in axes.texts] == [(0, 0), (1, 0), (0, 1), (1, 1)]
    assert [text.get_color() for text in axes.texts] == ["white"] * 2 + ["black"] * 2
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["def", "await"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["blocks", "awaits"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("victim", "holder")
    (image,) = axes.images
    np.testing.assert_array_equal(image.get_array(), [[0, 0], [1, 0.8]])
    figure.canvas.draw()


def luminance(colour: Any) -> float:
    """Relative luminance as WCAG 2 defines it."""
    channels: npt.NDArray[np.float64] = np.array(matplotlib.colors.to_rgb(colour))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("count", range(21))
def test_counts_can_be_read_on_their_cells(count: int) -> None:
    """A contrast of 4.5 to 1 or more, as WCAG 2 asks of small text."""
    (axes,) = plots.matrix({"a": {"b": count}}, of=20, xlabel="", ylabel="").axes
    (image,) = axes.images
    cell = luminance(image.cmap(image.norm(np.array(count / 20))))
    text = luminance(axes.texts[0].get_color())
    assert (max(cell, text) + 0.05) / (min(cell, text) + 0.05) >= 4.5


def test_by_name() -> None:
    (axes,) = plots.by_name({"a": 1.5, "b": 20.0}, truth=1.2, xlabel="ms").axes
    truth, dots = axes.lines
    assert xs(truth) == [1.2, 1.2]
    assert points(dots) == [(1.5, 0), (20, 1)]
    assert [text.get_text() for text in axes.texts] == ["1.5", "20"]


# Words.


def check_deviation(deviation: Callable[..., float]) -> None:
    measured = {1.0: [1.0, 1.1, 50.0], 2.0: [1.8]}
    assert deviation(measured, lambda x: x) == pytest.approx(0.1)
    assert deviation({1.0: [0.7]}, lambda x: x) == pytest.approx(0.3)
    assert deviation({3.0: [3.0]}, lambda x: x) == 0


def test_deviation() -> None:
    check_deviation(plots.deviation)


def test_check_sees_another_deviation() -> None:
    with pytest.raises(AssertionError):
        check_deviation(lambda measured, law: plots.deviation(measured, lambda x: law(x) * 1.05))


def test_conditions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "gil_enabled", lambda: False)
    monkeypatch.setattr(machine, "usable_cores", lambda: 3)
    monkeypatch.setattr(postgres, "version", lambda: "18.4")
    rows = np.zeros(700, dtype=ROW)
    rows["error"][:2] = "timeout", "closed"
    trial = dataclasses.replace(NOTHING, rows=rows)
    said = plots.conditions("uvloop", "open loop", [trial] * 3, "p99", workers="2 workers")
    assert re.fullmatch(
        r"Python 3\.\S+, no GIL, FastAPI \S+, Pydantic \S+,"
        r" uvicorn \S+ on uvloop, Postgres 18\.4, 2 workers,"
        r" 3 cores; open loop; n = 2,100 requests, 6 failed\. Not shown: p99",
        said,
    )


def test_show_writes_title_caption_and_alternative(monkeypatch: pytest.MonkeyPatch) -> None:
    import IPython.display

    shown: list[IPython.display.Image] = []
    monkeypatch.setattr(IPython.display, "display", shown.append)
    figure: Figure = plots.figure()
    plots.show(figure, title="The finding " * 20, caption="n = 3", alt="A line.")
    (image,) = shown
    assert image.alt == "A line."
    assert image.data.startswith(b"\x89PNG")
    assert "\n" in figure.get_suptitle()
    assert figure.get_supxlabel() == "n = 3"
