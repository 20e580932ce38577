"""Pictures of a bystander: a bar for each request, and the law beside what was measured."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from test_plots import xs, ys
from test_victims import NOTHING, NULL_MS

from lab_apps.instruments import law
from lab_apps.instruments.eventloop import Readings
from lab_apps.instruments.plots import COLOURS, GREY
from lab_apps.instruments.trial import Trial
from lab_apps.instruments.victims import Alone, Beside
from lab_apps.instruments.wire import Row, Sent

START_NS = 7_000_000_000
REQUESTS = [(0, 10, 60), (1, 12, 60.5), (1, 5, 5.5), (1, 100, 100.5), (0, 30, 110)]  # in ms


def trial() -> Trial:
    rows = []
    for stream, at_ms, done_ms in REQUESTS:
        due, done = (START_NS + round(ms * 1e6) for ms in (at_ms, done_ms))
        rows.append(Row(stream, 1, due, due, due, done, 200, 1, ""))
    return Trial.of(Sent(rows, START_NS, START_NS + 200_000_000, 0.1, 0.0), ("blocker", "victim"))


def readings() -> Readings:
    """Before the trial, twice in it, and after it."""
    at_ns = START_NS + np.array([-3, 20, 60, 900], dtype=np.int64) * 1_000_000
    return Readings(at_ns, np.array([1.0, 2.0, 50.0, 4.0]), np.zeros(4, int))


def bars(axes: Axes) -> dict[str, list[tuple[float, float, float]]]:
    """Start, end and rank of each bar, by stream."""
    found = {}
    for lines in axes.collections:
        assert isinstance(lines, LineCollection)
        ends = map(np.asarray, lines.get_segments())
        found[str(lines.get_label())] = [(a[0], b[0], a[1]) for a, b in ends]
    return found


@pytest.mark.parametrize("labels", [("async", "def"), ("async", "def", "await")])
def test_timeline(labels: tuple[str, ...]) -> None:
    figure = law.timeline([(label, trial(), readings()) for label in labels])
    assert len(figure.axes) == 2 * len(labels)
    for column, label in enumerate(labels):
        above, below = figure.axes[column], figure.axes[len(labels) + column]
        assert above.get_title() == label
        # In order of arrival, from 0; the earliest is at the top.
        drawn = bars(above)
        assert drawn["victim"] == [
            pytest.approx(bar) for bar in [(5, 5.5, 0), (12, 60.5, 2), (100, 100.5, 4)]
        ]
        assert drawn["blocker"] == [pytest.approx(bar) for bar in [(10, 60, 1), (30, 110, 3)]]
        low, high = above.get_ylim()
        assert low > high
        (delay,) = below.lines
        assert xs(delay) == [20, 60]
        assert ys(delay) == [2, 50]
        assert delay.get_color() == COLOURS[column]
    figure.canvas.draw()


def point(rho: float, victim_ms: float, predicted_ms: float, delayed: float) -> Beside:
    """Every response but the share delayed is `victim_ms`."""
    times = np.where(np.arange(1000) < round(delayed * 1000), 50.0, victim_ms)
    return Beside(NOTHING, 7, rho, times, times, np.full(1000, predicted_ms), 0.25)


NULL = Alone(NOTHING, NULL_MS, 0.25, 0.1)
BLOCKS = [point(0.02, 0.5, 0.6, 0.02), point(0.3, 0.7, 0.8, 0.3)]
AWAITS = [point(0.02, 0.25, 0.6, 0), point(0.3, 0.26, 0.8, 0), point(0.5, 0.26, 0.8, 0)]


def test_utilisation_law() -> None:
    measured = {"async": BLOCKS, "await": AWAITS}
    figure = law.utilisation_law(NULL, measured, hold_ms=50, victim_rate=300, percentiles=(50, 99))
    left, right = figure.axes
    # For each percentile: the long run, its edge, a point for each series, crosses.
    for index, percentile in enumerate((50, 99)):
        run, edge, blocks, awaits, crosses = left.lines[5 * index : 5 * index + 5]
        assert run.get_linestyle() == "-"
        assert xs(edge) == pytest.approx([1 - percentile / 100] * 2)
        assert xs(blocks) == [0.02, 0.3]
        ms = [np.percentile(one.victim_ms, percentile) for one in BLOCKS]
        assert ys(blocks) == ms
        assert xs(awaits) == [0.02, 0.3, 0.5]
        assert ys(crosses) == [0.6, 0.8]
        assert crosses.get_marker() == "x"
        for line in (run, edge, blocks, awaits):
            assert line.get_color() == COLOURS[index]
        assert blocks.get_markerfacecolor() == COLOURS[index]
        assert awaits.get_markerfacecolor() == "none"
    assert [text.get_text() for text in left.texts] == ["50%", "1%"]
    found = left.get_legend()
    assert found is not None
    assert [text.get_text() for text in found.get_texts()] == [
        "p50",
        "p99",
        "beside async",
        "beside await",
        "predicted for these instants",
        "predicted in the long run",
    ]
    long_run, itself, blocks, awaits = right.lines
    assert xs(itself) == ys(itself)
    assert itself.get_color() == GREY
    assert ys(blocks) == [0.02, 0.3]
    assert ys(awaits) == [0.001] * 3  # nobody, which no log axis has
    # In the long run about ρ are delayed, and more where the loop's own cost adds up.
    rhos, shares = np.array(xs(long_run)), np.array(ys(long_run))
    assert np.all(np.diff(rhos) > 0)
    assert shares[rhos < 0.5] == pytest.approx(rhos[rhos < 0.5], rel=0.15)
    assert rhos[0] == pytest.approx(0.003)
    figure.canvas.draw()


def test_long_run_ends_where_the_loop_does_not_keep_up() -> None:
    """Each request costs 1 ms and 300 a second come: 0.3 of the loop is theirs."""
    rhos, predicted = law._long_run(Alone(NOTHING, NULL_MS, 0.25, 1.0), 50, 300)
    assert len(rhos) == len(predicted)
    assert 0.55 < max(rhos) < 0.7 / 1.02
    assert max(law._long_run(NULL, 50, 300)[0]) > 0.85
