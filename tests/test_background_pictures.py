"""The pictures of tasks: what is drawn is what was counted."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lab_apps.instruments import backlog, task_order
from lab_apps.instruments.backlog import Backlog
from lab_apps.instruments.footprint import Samples
from lab_apps.instruments.ledger import Event
from lab_apps.instruments.memory import MIB
from lab_apps.instruments.task_order import ANSWER, NEXT, Order
from lab_apps.instruments.trial import ROW, Trial

MS = 1_000_000


def drawn(fig: Figure, axes: int, line: int) -> tuple[list[float], list[float]]:
    """The points of a line."""
    one = fig.axes[axes].lines[line]
    return np.asarray(one.get_xdata()).tolist(), np.asarray(one.get_ydata()).tolist()


def legend(fig: Figure) -> list[str]:
    """What the first panel's legend says."""
    found = fig.axes[0].get_legend()
    assert found is not None
    return [text.get_text() for text in found.get_texts()]


def order(work_on: str) -> Order:
    """A request at 0, answered after 2 ms, the next after 9 ms; work from 3 to 8 ms."""
    moments = {"accepted": ("loop", 1), "begun": (work_on, 3), "done": (work_on, 8)}
    events = {what: Event(ms * MS, 1, on, "a", what) for what, (on, ms) in moments.items()}
    return Order(0, {ANSWER: 2 * MS, NEXT: 9 * MS}, events)


def test_order_in_words() -> None:
    assert order("loop").said == "1 of 2 answered before the end; event loop"
    assert order("AnyIO worker thread").said == "1 of 2 answered before the end; pool thread"


def test_orders_are_drawn() -> None:
    fig = task_order.picture({"one": [order("loop")], "two": [order("a"), order("b")]})
    assert drawn(fig, 0, 0)[0] == [3, 8]  # the work, then the two answers
    assert [drawn(fig, 0, line)[0] for line in (1, 2)] == [[2], [9]]
    assert [text.get_text() for text in fig.axes[0].get_yticklabels()] == ["one", "two"]
    assert legend(fig) == [ANSWER, NEXT, "work, pool thread", "work, event loop"]


def trial(*statuses: int) -> Trial:
    """Requests due each second, each answered with that status after 1, 2, … ms."""
    rows = np.zeros(len(statuses), ROW)
    rows["status"] = statuses
    rows["intended_ns"] = np.arange(len(statuses)) * 1000 * MS
    rows["done_ns"] = rows["intended_ns"] + (1 + np.arange(len(statuses))) * MS
    return Trial(rows, ("calls",), 0, 3.0, 0.0, 0.0)


def test_backlogs_are_drawn() -> None:
    seen = Backlog.between(np.array([0.0, 1]), np.array([2.0, 3]))
    fig = backlog.picture({"one": (trial(200, 503, 200), seen)}, {"one": seen})
    assert drawn(fig, 0, 0) == drawn(fig, 0, 1) == ([0, 1, 2, 3], [1, 2, 1, 0])
    assert drawn(fig, 1, 0) == ([0, 2], [1, 3])  # answered
    assert drawn(fig, 1, 1) == ([1], [2])  # refused
    marks: list[Any] = [line.get_markerfacecolor() for line in fig.axes[1].lines]
    assert marks[1] == "none" != marks[0]
    assert legend(fig) == ["one", "predicted"]


def test_memory_is_drawn() -> None:
    seen = Backlog.between(np.array([0.0, 1]), np.array([2.0, 3]))
    none = np.zeros(2)
    samples = Samples(np.array([0, 1000 * MS]), np.array([0.0, 5]), none, none, none, none)
    fig = backlog.memory(samples, seen, 2 * MIB, 0)
    assert drawn(fig, 0, 0) == ([0, 1], [0, 5])
    assert drawn(fig, 0, 1) == ([0, 1, 2, 3], [2, 4, 2, 0])
