"""Pictures of dependencies: every value is there, predictions have nothing fitted."""

from __future__ import annotations

import numpy as np
import pytest
from fastapi.dependencies.models import Dependant
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from lab_apps.instruments.dependency_calls import Call, Node
from lab_apps.instruments.dependency_pictures import (
    Arm,
    against_delay,
    graph,
    statements,
    waterfall,
)
from lab_apps.instruments.queries import Query, RequestLog

MS = 10**6
ARMS = {
    "none": Arm(0, {0: [1.0, 1.1, 1.2], 5: [1.0, 1.2]}),
    "one": Arm(1, {0: [2.0, 9.0, 2.1], 5: [7.0]}),
    "six": Arm(6, {0: [3.0], 5: [40.0, 33.0]}),
}


def ys(line: Line2D) -> list[float]:
    return [float(value) for value in np.asarray(line.get_ydata())]


def texts(fig: Figure) -> list[str]:
    return [text.get_text() for axes in fig.axes for text in axes.texts if text.get_text()]


def test_prediction_has_nothing_fitted() -> None:
    assert ARMS["one"].base_ms == 2.1
    assert ARMS["one"].predicted_ms(5) == pytest.approx(7.1)
    assert ARMS["six"].predicted_ms(5) == 33
    other = Arm(6, {0: [3.0], 5: [999.0]})
    assert other.predicted_ms(5) == 33


def test_against_delay() -> None:
    fig = against_delay(ARMS)
    (axes,) = fig.axes
    lines = axes.get_lines()
    assert len(lines) == 2 * len(ARMS)
    for arm, line, points in zip(ARMS.values(), lines[::2], lines[1::2], strict=True):
        assert (ys(line)[0], ys(line)[-1]) == (arm.predicted_ms(0), arm.predicted_ms(5))
        assert ys(points) == [*arm.latency_ms[0], *arm.latency_ms[5]]
    assert texts(fig) == ["0 round trips: none", "1 round trip: one", "6 round trips: six"]
    assert axes.get_yscale() == "log"
    assert list(axes.get_xticks()) == [0, 5]


def query(sql: str, begun_ms: int, ended_ms: int) -> Query:
    return Query(sql, begun_ms * MS, ended_ms * MS)


LOG = RequestLog(
    "GET",
    "/",
    0,
    40 * MS,
    200,
    (query("SELECT 1", 2, 12), query("SELECT 2", 12, 17)),
    (query("BEGIN", 2, 7), query("COMMIT", 20, 25), query("", 30, 31)),
)


def test_statements_are_one_after_another() -> None:
    found = [(one.sql, one.begun_ns // MS, one.ended_ns // MS) for one in statements(LOG)]
    assert found == [
        ("BEGIN", 2, 7),
        ("SELECT 1", 7, 12),
        ("SELECT 2", 12, 17),
        ("COMMIT", 20, 25),
        ("", 30, 31),
    ]


def test_waterfall() -> None:
    calls = [Call("inner", 2 * MS, 12 * MS), Call("outer", 1 * MS, 17 * MS)]
    fig = waterfall({"first": (calls, LOG), "second": (calls, LOG)}, {"first": 18, "second": 18})
    for axes, title in zip(fig.axes, ("first", "second"), strict=True):
        bars = [p for p in axes.patches if isinstance(p, Rectangle)]
        spans = [(round(bar.get_x(), 3), round(bar.get_width(), 3)) for bar in bars]
        assert spans == [(1, 16), (2, 10), (2, 5), (7, 5), (12, 5), (20, 5), (30, 1)]
        labels = [label.get_text() for label in axes.get_yticklabels()]
        assert labels == ["outer", "inner", "database"]
        assert axes.get_title(loc="left") == title
    assert texts(fig) == ["BEGIN", "SELECT", "SELECT", "COMMIT"] * 2


def node(name: str, *needs: Node) -> Node:
    return Node(name, Dependant(), needs)


def test_graph() -> None:
    shared = node("shared", node("deep"))
    root = node("route", node("left", shared), node("right", node("between", shared)))
    fig = graph(root, {"left": 1, "right": 1, "between": 1, "shared": 1, "deep": 2})
    fig.draw_without_rendering()
    (axes,) = fig.axes
    boxes = {text.get_text().partition("\n")[0]: text for text in axes.texts if text.get_text()}
    assert {name: text.get_text().partition("\n")[2] for name, text in boxes.items()} == {
        "route": "",
        "left": "1 place, 1 call",
        "right": "1 place, 1 call",
        "between": "1 place, 1 call",
        "shared": "2 places, 1 call",
        "deep": "2 places, 2 calls",
    }
    coloured = [name for name, text in boxes.items() if text.get_color() != "black"]
    assert coloured == ["shared"]
    depth = {name: text.get_position()[0] for name, text in boxes.items()}
    assert depth == {"route": 0, "left": 1, "right": 1, "between": 2, "shared": 3, "deep": 4}
    arrows = [text for text in axes.texts if not text.get_text()]
    assert len(arrows) == 6  # shared needs deep once, however often it is used
