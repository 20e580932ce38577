"""Pictures of a stop: every task is a line from its beginning to its end, none covers a text."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from lab_apps.instruments import plots
from lab_apps.instruments.ledger import Event
from lab_apps.instruments.plots import GREY
from lab_apps.instruments.stop_pictures import (
    DONE,
    LOST,
    WORKERS,
    Attempt,
    attempts,
    by_worker,
    conditions,
    counted,
    describe,
    timeline,
    timelines,
)
from lab_apps.instruments.stops import Fate
from lab_apps.instruments.trial import Trial
from lab_apps.instruments.wire import Row, Sent

START_NS = 5_000_000_000
Bar = tuple[float, float, int, str]  # from, to, line, colour


def event(at_s: float, task: str, what: str, pid: int = 7) -> Event:
    return Event(START_NS + round(at_s * 1e9), pid, "MainThread", task, what)


def fate(
    events: Sequence[Event], answered_s: Sequence[float] = (), signal_s: float = 1, end_s: float = 2
) -> Fate:
    rows = [
        Row(0, 0, START_NS, START_NS, START_NS, START_NS + round(at_s * 1e9), 200, 2, "")
        for at_s in answered_s
    ]
    trial = Trial.of(Sent(rows, START_NS, START_NS, 0.0, 0.0), ("tasks",))
    signalled_ns, ended_ns = (START_NS + round(at_s * 1e9) for at_s in (signal_s, end_s))
    return Fate(trial, events, signalled_ns, ended_ns, -15)


def tasks(number: int, lost: int = 0, work_s: float = 1.5) -> list[Event]:
    """So many tasks that begin at 0, 0.01 … s, of which the last ones are lost."""
    noted = []
    for one in range(number):
        begun_s = one / 100
        noted += [event(begun_s, f"7-{one}", "accepted"), event(begun_s, f"7-{one}", "begun")]
        if one < number - lost:
            noted.append(event(begun_s + work_s, f"7-{one}", "done"))
    return sorted(noted)


SOME = fate(tasks(10, 3), [0.02, 0.01, 0.03], 1, 2)


def bars(axes: Axes) -> list[Bar]:
    """What is drawn along a line of the picture."""
    found = []
    for line in axes.get_lines():
        xs, ys = (np.asarray(data, float) for data in (line.get_xdata(), line.get_ydata()))
        if line.get_linestyle() == "-" and len(xs) == 2 and ys[0] == ys[1]:
            found.append((round(xs[0], 6), round(xs[1], 6), int(ys[0]), str(line.get_color())))
    return found


def across(axes: Axes) -> dict[str, float]:
    """Where the vertical lines stand, by style."""
    return {
        str(line.get_linestyle()): round(float(np.asarray(line.get_xdata(), float)[0]), 6)
        for line in axes.get_lines()
        if line.get_color() == "black"
    }


def test_an_attempt_ends_with_the_end_of_its_own_process() -> None:
    noted = [
        event(0.1, "a", "begun", 1),
        event(0.2, "b", "begun", 1),
        event(0.3, "b", "done", 1),
        event(0.5, "a", "begun", 2),  # once more, after the end of the first process
        event(0.6, "a", "done", 2),
        event(0.7, "a", "returned", 2),
    ]
    first, other, done, again, end = (one.at_ns for one in noted[:5])
    assert attempts(noted) == [
        Attempt("a", first, None, 1),
        Attempt("b", other, done, 1),
        Attempt("a", again, end, 2),
    ]


def test_two_attempts_in_one_process_have_an_end_each() -> None:
    noted = [event(at, "a", what) for at, what in enumerate(["begun", "done", "begun", "done"])]
    stamps = [one.at_ns for one in noted]
    assert attempts(noted) == [
        Attempt("a", stamps[0], stamps[1], 7),
        Attempt("a", stamps[2], stamps[3], 7),
    ]
    assert attempts(noted[:3]) == [
        Attempt("a", stamps[0], stamps[1], 7),
        Attempt("a", stamps[2], None, 7),
    ]


def test_what_has_not_begun_is_no_attempt() -> None:
    assert attempts([]) == attempts([event(0, "a", "accepted"), event(1, "a", "done")]) == []


def drawn(one: Fate, **options: object) -> Axes:
    axes = Figure().subplots()
    timeline(axes, one, **options)  # type: ignore[arg-type]
    return axes


def test_work_done_ends_when_it_was_done_and_lost_work_with_the_process() -> None:
    begun_s = [number / 100 for number in range(10)]
    assert bars(drawn(SOME)) == [
        *((at, at + 1.5, line, DONE) for line, at in enumerate(begun_s[:7])),
        *((at, 2, line, LOST) for line, at in enumerate(begun_s) if line >= 7),
    ]
    assert DONE != LOST


def test_the_signal_is_dashed_and_the_end_is_not() -> None:
    assert across(drawn(SOME)) == {"--": 1, "-": 2}
    assert across(drawn(SOME, signal=False)) == {}


def test_responses_are_dots_in_their_order() -> None:
    (dots,) = (line for line in drawn(SOME).get_lines() if line.get_marker() == ".")
    assert dots.get_color() == GREY
    assert np.allclose(np.asarray(dots.get_xdata(), float), [0.01, 0.02, 0.03])
    assert np.asarray(dots.get_ydata()).tolist() == [0, 1, 2]


# Panels


def panels(rows: int = 3, number: int = 50) -> dict[str, dict[str, Fate]]:
    """Panels as the notebook has them: ways by stops."""
    stops = {"SIGTERM": 1.6, "SIGTERM, grace 1 s": 2.6, "SIGKILL": 1.01}
    return {
        way: {stop: fate(tasks(number, lost), [0.1], 1, end_s) for stop, end_s in stops.items()}
        for way, lost in itertools.islice(
            {"background": 0, "create_task": number, "task group": 7}.items(), rows
        )
    }


def test_each_fate_has_its_panel_with_its_count() -> None:
    figure = timelines(panels())
    grid = np.array(figure.axes).reshape(3, 3)
    titles = [axes.get_title() for axes in grid[0]]
    assert titles == ["SIGTERM", "SIGTERM, grace 1 s", "SIGKILL"]
    assert not any(axes.get_title() for axes in grid[1:].flat)
    labels = [[axes.get_ylabel() for axes in row] for row in grid]
    assert labels == [[way, "", ""] for way in panels()]
    for row, lost in zip(grid, (0, 50, 7), strict=True):
        for axes in row:
            (text,) = axes.texts
            assert text.get_text() == f"{lost} of 50 lost"
            assert text.get_weight() == ("bold" if lost else "normal")
            colours = [colour for *_, colour in bars(axes)]
            assert (colours.count(LOST), colours.count(DONE)) == (lost, 50 - lost)


def test_a_column_shows_all_of_its_time() -> None:
    mixed = panels(2)
    last = fate(tasks(50), [], 1, 7.5)
    mixed["create_task"]["SIGKILL"] = last
    grid = np.array(timelines(mixed).axes).reshape(2, 3)
    assert [axes.get_xlim() for axes in grid[:, 2]] == [pytest.approx((-0.15, 7.8))] * 2
    assert grid[0, 0].get_xlim()[1] == pytest.approx(1.04 * 1.99)  # the last of the work
    assert [axes.get_xlabel() for axes in grid[1]] == ["seconds since the first request"] * 3


def texts(figure: Figure) -> list[Text]:
    """All that can be read: titles, labels, ticks in view, counts, legend, caption."""
    found = [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    for axes in figure.axes:
        low, high = axes.get_xlim()
        ticks = zip(axes.get_xticks(), axes.get_xticklabels(), strict=False)  # none above
        found += [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.texts]
        found += [label for at, label in ticks if low <= at <= high]
    return [text for text in found if text.get_text()]


def covered(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of texts that overlap once shown, and texts that the figure cuts."""
    caption = "n = 450 requests, " * 12
    plots.show(figure, title="What became of the tasks " * 5, caption=caption, alt="")
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts(figure)]
    edge = figure.bbox
    cut = [
        (text, "the edge")
        for text, box in boxes
        if min(box.x0, box.y0) < 0 or box.x1 > edge.x1 or box.y1 > edge.y1
    ]
    pairs = itertools.combinations(boxes, 2)
    return cut + [(a, b) for (a, one), (b, other) in pairs if one.overlaps(other)]


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_no_text_covers_another(rows: int) -> None:
    assert not covered(timelines(panels(rows)))


def test_check_sees_texts_that_overlap() -> None:
    assert covered(timelines(panels(), width=4.0))


# Workers


def shared() -> Fate:
    """Three jobs of a worker that is killed at 1 s, of which two are done by the next one."""
    noted = [
        *(event(0, task, "accepted", 3) for task in "abc"),
        *(event(0.1, task, "begun", 11) for task in "abc"),
        event(0.9, "a", "done", 11),
        event(1.5, "c", "begun", 12),
        event(1.6, "b", "begun", 12),
        event(1.8, "c", "done", 12),
        event(1.9, "b", "done", 12),
    ]
    return fate(noted, [0.01, 0.02, 0.03], 1, 1.1)


def test_colours_tell_who_did_it_and_a_second_attempt_stands_on_its_line() -> None:
    figure = by_worker(shared(), ["first", "second"])
    (axes,) = figure.axes
    assert bars(axes) == [
        (0.1, 0.9, 0, WORKERS[0]),
        (0.1, 1.1, 1, LOST),
        (0.1, 1.1, 2, LOST),
        (1.5, 1.8, 2, WORKERS[1]),
        (1.6, 1.9, 1, WORKERS[1]),
    ]
    assert across(axes) == {"--": 1, "-": 1.1}
    assert axes.get_ylabel() == "3 jobs"
    (legend,) = figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names == [
        "request",
        "response",
        "first",
        "second",
        "not finished",
        "signal",
        "process gone",
    ]
    assert [line.get_color() for line in legend.get_lines()[2:5]] == [*WORKERS[:2], LOST]
    assert not covered(figure)


def test_a_worker_that_did_nothing_has_no_colour() -> None:
    one = shared()
    idle = dataclasses.replace(one, events=[event(0.05, "c", "begun", 10), *one.events])
    assert (1.5, 1.8, 0, WORKERS[1]) in bars(by_worker(idle, ["first", "second"]).axes[0])


def test_without_a_signal_there_is_none() -> None:
    figure = by_worker(shared(), ["A", "B"], signal=False)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["request", "response", "A", "B"]


@pytest.mark.parametrize("names", [["one"], ["one", "two", "three"]])
def test_each_worker_needs_a_name(names: list[str]) -> None:
    with pytest.raises(ValueError, match="zip"):
        by_worker(shared(), names)


def test_colours_of_workers_differ_and_none_is_that_of_lost_work() -> None:
    assert len({*WORKERS, LOST, GREY}) == len(WORKERS) + 2


def test_counts_in_words() -> None:
    twice = fate([*tasks(2), event(1.8, "7-0", "done")])
    said = [counted(one) for one in (None, SOME, fate(tasks(2)), twice)]
    assert said == ["–", "3 lost", "0 lost", "0 lost, 1 twice"]
    described = describe({"naive": {"SIGTERM": SOME, "SIGKILL": fate(tasks(5, 5))}})
    assert described.endswith("Lost: naive: SIGTERM: 3, SIGKILL: 5.")
    assert "n = 4 requests, 0 failed" in conditions([SOME, fate(tasks(1), [0.1])], "more")
