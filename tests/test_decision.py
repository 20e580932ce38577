"""Which form to write: costs from known responses, ties called ties, and the picture says so."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import apps
import matplotlib.colors
import numpy as np
import pytest
from matplotlib.figure import Figure
from test_plots import drawn, legend, xs, ys
from test_victims import NOTHING

from lab_apps.instruments import decision
from lab_apps.instruments.decision import FORMS, Cost, Panel, best, cost, describe, frame, worst
from lab_apps.instruments.plots import COLOURS, GREY
from lab_apps.instruments.server import serve
from lab_apps.instruments.trial import Trial
from lab_apps.instruments.victims import Route
from lab_apps.instruments.wire import Row, Sent

INLINE, DEF, AWAIT, PROCESSES = FORMS


def made(calls_ms: Sequence[float], victims_ms: Sequence[float]) -> Trial:
    """A trial with these responses."""
    rows = [
        Row(stream, 1, 10**9, 10**9 + 1, 10**9 + 1, 10**9 + round(ms * 1e6), 200, 1, "")
        for stream, group in enumerate((calls_ms, victims_ms))
        for ms in group
    ]
    return Trial.of(Sent(rows, 10**9, 2 * 10**9, 0.1, 0.0), ("blocker", "victim"))


HUNDRED = np.linspace(0, 100, 101)  # its p95 is 95


def check_cost(cost: Callable[[Trial, float, float], Cost]) -> None:
    """The p95 over calls, their work left out, and victims alike; interpolated by hand."""
    for calls_ms, victims_ms, work_ms, added_ms in [
        (HUNDRED + 50, HUNDRED, 50, 95),  # 0 .. 100, each twice
        (np.array([1000.0]), HUNDRED, 0, 95.95),  # between the 96th and 97th of 102
        (HUNDRED + 9, np.zeros(1), 9, 94.95),
        (HUNDRED[:0], HUNDRED, 50, 95),  # a Poisson stream may be empty
    ]:
        trial = made(list(calls_ms), list(victims_ms))
        found = cost(trial, 7, work_ms)
        assert found.added_ms == pytest.approx(added_ms)
        assert found.rate == 7
        assert found.trial is trial


def test_cost() -> None:
    check_cost(cost)


@pytest.mark.parametrize(
    "broken",
    [
        lambda trial, rate, _: cost(trial, rate, 0),
        lambda trial, rate, work_ms: cost(_swapped(trial), rate, work_ms),
        lambda trial, rate, work_ms: cost(trial.stream("victim"), rate, work_ms),
    ],
    ids=["the work too", "streams swapped", "victims alone"],
)
def test_check_sees_a_wrong_cost(broken: Callable[[Trial, float, float], Cost]) -> None:
    with pytest.raises(AssertionError):
        check_cost(broken)


def _swapped(trial: Trial) -> Trial:
    return dataclasses.replace(trial, streams=("victim", "blocker"))


def test_measured() -> None:
    """A call that blocks for 20 ms lays its cost on others, one in a thread on nobody."""
    victim = Route("/await", b'"await"')
    costs = {}
    with serve(apps.kinds) as server:
        for kind in ("async", "def"):
            call = Route(f"/{kind}?hold_s=0.02", f'"{kind}"'.encode())
            costs[kind] = decision.measure(
                server, call, victim, rate=30, work_ms=20, seconds=0.5, seed=3
            )
    for one in costs.values():
        assert one.trial.errors == {}
        assert one.trial.streams == ("blocker", "victim")
        assert one.rate == 30
    assert len(costs["def"].trial.rows) == len(costs["async"].trial.rows) > 200
    assert costs["async"].added_ms > 10
    assert costs["async"].added_ms > 1.5 * costs["def"].added_ms


# The cheapest, and ties.


def panel(**added_ms: Sequence[float]) -> Panel:
    """Costs at 1, 10, 100, … calls a second."""
    names = {"inline": INLINE, "threads": DEF, "awaits": AWAIT, "processes": PROCESSES}
    return {
        names[form]: [Cost(10.0**power, ms, NOTHING) for power, ms in enumerate(group)]
        for form, group in added_ms.items()
    }


@pytest.mark.parametrize(
    ("inline", "threads", "awaits", "cheap", "dearest", "factor"),
    [
        (10, 15, 16, [INLINE, DEF], AWAIT, 1.6),  # 1.5 times as much is a tie
        (10, 15.1, 30, [INLINE], AWAIT, 3),
        (1.2, 0.2, 1.21, [INLINE, DEF], AWAIT, 6.05),  # so is 1 ms more
        (2, 2, 2, [INLINE, DEF, AWAIT], INLINE, 1),
        (50, 20, 4, [AWAIT], INLINE, 12.5),
        (0.1, 0.001, -3, [INLINE, DEF, AWAIT], INLINE, 1),  # no less than 0.1 ms is told apart
        (-3, 1.2, 0, [INLINE, AWAIT], DEF, 12),
    ],
)
def test_best(
    inline: float, threads: float, awaits: float, cheap: list[str], dearest: str, factor: float
) -> None:
    one = panel(inline=[99, inline], threads=[1, threads], awaits=[50, awaits])
    found = best(one, 10)
    assert found[:2] == (cheap, dearest)
    assert found[2] == pytest.approx(factor)
    assert best(one, 1)[:2] == ([DEF], INLINE)


def test_worst_is_that_of_the_worst_rate() -> None:
    assert worst(panel(inline=[10, 60, 30], threads=[10, 10, 10])) == pytest.approx(6)
    assert worst(panel(inline=[10, 10, 10], threads=[10, 10, 90])) == pytest.approx(9)
    assert worst(panel(inline=[10], threads=[10])) == 1


# The picture, its words and its table.

PANELS = {
    "cheap:\n0.1 ms": panel(inline=[0.2, 0.3, 0.4], threads=[0.3, 0.4, 5]),
    "call:\n50 ms": panel(inline=[60, 90, 900], threads=[2, 3, 200], awaits=[2, 3, 2]),
    "computing": panel(inline=[10, 10], threads=[14, 0.05], processes=[4, 9.7]),
}
SAID = (
    "cheap: 0.1 ms: at 1/s any form; at 10/s any form; at 100/s async, inline, def costs 12.5 times"
    " more. call: 50 ms: at 1/s def or async, await, async, inline costs 30.0 times more; at 10/s"
    " def or async, await, async, inline costs 30.0 times more; at 100/s async, await, async,"
    " inline costs 450.0 times more. computing: at 1/s process pool, def costs 3.5 times more; at"
    " 10/s def, async, inline costs 100.0 times more."
)


def texts(figure: Figure, index: int) -> list[str]:
    return [text.get_text() for text in figure.axes[index].texts]


def test_picture() -> None:
    figure = decision.picture(PANELS)
    assert [axes.get_title() for axes in figure.axes] == list(PANELS)
    assert texts(figure, 0) == ["any", "any", "×12", "inline"]
    assert texts(figure, 1) == ["×30", "def\nawait", "×30", "def\nawait", "×450", "await"]
    assert texts(figure, 2) == ["×3.5", "process", "×100", "def"]
    for axes, panel in zip(figure.axes, PANELS.values(), strict=True):
        lines = drawn(axes)
        assert len(lines) == len(panel)
        for line, (form, points) in zip(lines, panel.items(), strict=True):
            assert line.get_color() == COLOURS[FORMS.index(form)]
            assert xs(line) == [point.rate for point in points]
            assert ys(line) == [max(point.added_ms, 0.1) for point in points]
            low, high = axes.get_ylim()
            assert all(low < ms < high for ms in ys(line))
    assert legend(figure.axes[0]) == list(FORMS)
    figure.canvas.draw()


def test_colour_of_a_label_is_that_of_the_only_cheapest() -> None:
    figure = decision.picture(PANELS)
    colours = [matplotlib.colors.to_hex(text.get_color()) for text in figure.axes[1].texts[1::2]]
    assert colours == [GREY, GREY, COLOURS[FORMS.index(AWAIT)].lower()]


def test_one_panel() -> None:
    figure = decision.picture({"computing": PANELS["computing"]})
    assert texts(figure, 0) == ["×3.5", "process", "×100", "def"]


def test_describe() -> None:
    assert describe(PANELS) == SAID


def test_frame() -> None:
    table = frame(PANELS)
    assert list(table.columns) == [*FORMS, "write"]
    assert len(table) == 8
    assert table[INLINE].tolist()[-2:] == ["10.0", "10.0"]
    assert table["write"].tolist()[:3] == ["any", "any", INLINE]
    assert table["write"].tolist()[3:] == [f"{DEF} or {AWAIT}"] * 2 + [AWAIT, PROCESSES, DEF]
    assert table[PROCESSES].tolist() == [""] * 6 + ["4.0", "9.7"]
