"""Pictures of dependencies: their graph, one request in time, latency against round-trip delay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from lab_apps.instruments.dependency_calls import Call, Node
from lab_apps.instruments.plots import COLOURS, GREY, MARKERS, figure
from lab_apps.instruments.queries import Query, RequestLog


@dataclass(frozen=True)
class Arm:
    """A route's latencies: `latency_ms` by the delay in ms that each round trip was given.

    `round_trips` are those its answer waits for, as counted.
    """

    round_trips: int
    latency_ms: Mapping[float, Sequence[float]]

    @property
    def base_ms(self) -> float:
        """The median where no delay is added."""
        return float(np.median(self.latency_ms[0]))

    def predicted_ms(self, delay_ms: float) -> float:
        """Base and round trips times delay: nothing is fitted to the delayed requests."""
        return self.base_ms + self.round_trips * delay_ms


def against_delay(arms: Mapping[str, Arm]) -> Figure:
    """Every latency against the delay of a round trip, and each arm's prediction as a line.

    The line's name and its round trips stand at its right end.
    """
    fig = figure(10, 4.6)
    axes = fig.subplots()
    most_ms = max(delay for arm in arms.values() for delay in arm.latency_ms)
    at = np.linspace(0, most_ms, 60)
    for index, arm in enumerate(arms.values()):
        colour = COLOURS[index % len(COLOURS)]
        axes.plot(at, [arm.predicted_ms(delay) for delay in at], color=colour, lw=1)
        # Beside each other where they would lie on each other.
        shift = most_ms * 0.006 * (index - (len(arms) - 1) / 2)
        delays = [delay + shift for delay, group in arm.latency_ms.items() for _ in group]
        values = [value for group in arm.latency_ms.values() for value in group]
        marker = MARKERS[index % len(MARKERS)]
        axes.plot(delays, values, marker, color=colour, mfc="none", ms=4, alpha=0.7)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("")
    low, high = axes.get_ylim()
    ticks = [step * 10**power for power in range(-1, 4) for step in (1, 2, 5)]
    axes.set_yticks([tick for tick in ticks if low <= tick <= high])
    axes.minorticks_off()
    lowest = 0.0  # where the next name may stand, so that none lies on another
    for label, arm in sorted(arms.items(), key=lambda one: one[1].predicted_ms(most_ms)):
        trips = f"{arm.round_trips} round trip" + "s" * (arm.round_trips != 1)
        axes.annotate(
            f"{trips}: {label}",
            (most_ms, max(lowest, arm.predicted_ms(most_ms))),
            (14, 0),
            textcoords="offset points",
            color=COLOURS[list(arms).index(label) % len(COLOURS)],
            fontsize=8,
            va="center",
        )
        lowest = max(lowest, arm.predicted_ms(most_ms)) * (high / low) ** 0.045
    axes.set_xticks(sorted({delay for arm in arms.values() for delay in arm.latency_ms}))
    axes.set_xlim(-0.04 * most_ms, 1.03 * most_ms)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(True, axis="y", lw=0.3, color="#cccccc")
    axes.set_xlabel("added to each round trip to the database, ms (lines: predicted)", fontsize=9)
    axes.set_ylabel("latency, ms", fontsize=9)
    return fig


def statements(log: RequestLog) -> list[Query]:
    """What a request said to its database, one after another, in the order in which it began.

    A query that psycopg had to send a BEGIN for begins when that has ended.
    """
    own = []
    for query in log.queries:
        before = [c.ended_ns for c in log.commands if query.begun_ns <= c.begun_ns < query.ended_ns]
        own.append(Query(query.sql, max(before, default=query.begun_ns), query.ended_ns))
    return sorted([*own, *log.commands], key=lambda one: one.begun_ns)


def waterfall(
    panels: Mapping[str, tuple[Sequence[Call], RequestLog]], answered_ns: Mapping[str, int]
) -> Figure:
    """For each panel one request in time: each dependency, and beneath it what the database did.

    Statements are named by their first word. The dotted line is where the client had its answer.
    """
    rows = {name: len(calls) + 1 for name, (calls, _) in panels.items()}
    fig = figure(9, 0.9 + 0.27 * sum(rows.values()) + 0.35 * len(panels))
    axes = fig.subplots(
        len(panels), 1, sharex=True, squeeze=False, height_ratios=list(rows.values())
    )[:, 0]
    for plot, (title, (calls, log)) in zip(axes, panels.items(), strict=True):
        begun = sorted(calls, key=lambda call: call.begun_ns)
        for row, call in enumerate(begun):
            start_ms, length_ms = _span(call.begun_ns, call.ended_ns, log.begun_ns)
            plot.barh(row, length_ms, left=start_ms, height=0.6, color=COLOURS[4])
        for statement in statements(log):
            start_ms, length_ms = _span(statement.begun_ns, statement.ended_ns, log.begun_ns)
            word = (statement.sql.split() or ["check"])[0]
            colour = COLOURS[1] if word == "SELECT" else COLOURS[5]
            plot.barh(len(begun), length_ms, left=start_ms, height=0.8, color=colour, ec="white")
            if length_ms > 1:
                middle = (start_ms + length_ms / 2, len(begun))
                plot.annotate(word, middle, ha="center", va="center", fontsize=7, color="white")
        plot.axvline((answered_ns[title] - log.begun_ns) / 1e6, color="black", lw=1, ls=":")
        names = [*(call.name for call in begun), "database"]
        plot.set_yticks(range(len(names)), names, fontsize=8)
        plot.set_ylim(len(names) - 0.5, -0.6)
        plot.set_title(title, fontsize=9, loc="left")
        plot.grid(True, axis="x", lw=0.3, color="#cccccc")
        plot.set_axisbelow(True)
    axes[-1].set_xlim(left=0)
    axes[-1].set_xlabel("ms since the request came (dotted: the client has the answer)", fontsize=9)
    return fig


def _span(begun_ns: int, ended_ns: int, origin_ns: int) -> tuple[float, float]:
    """Where a bar starts and how long it is, in ms."""
    return (begun_ns - origin_ns) / 1e6, (ended_ns - begun_ns) / 1e6


def graph(root: Node, calls: Mapping[str, int]) -> Figure:
    """The functions by depth, the route on the left, and an arrow to each that one depends on.

    A function is drawn once, at the greatest depth it is used at, with its number of places and of
    calls; in colour where it has fewer calls than places.
    """
    depths, arrows = _depths(root), _arrows(root)
    columns: dict[int, list[str]] = {}
    for name, depth in depths.items():
        columns.setdefault(depth, []).append(name)
    tallest = max(map(len, columns.values()))
    where = {
        name: (depth, (rank + 0.5) * tallest / len(names))
        for depth, names in columns.items()
        for rank, name in enumerate(names)
    }
    fig = figure(9, 0.9 + 0.8 * tallest)
    axes = fig.subplots()
    boxes = {}
    for name, (x, y) in where.items():
        sites, called = root.sites(name), calls.get(name, 0)
        places = f"{sites} place{'s' * (sites != 1)}, {called} call{'s' * (called != 1)}"
        text = name if name == root.name else f"{name}\n{places}"
        colour = COLOURS[0] if sites > called and name != root.name else "black"
        box = {"boxstyle": "round", "fc": "white", "ec": colour}
        drawn = axes.text(x, y, text, ha="center", va="center", size=8, color=colour, bbox=box)
        boxes[name] = drawn.get_bbox_patch()
    for one, other in arrows:
        style = {"arrowstyle": "->", "color": GREY, "patchA": boxes[one], "patchB": boxes[other]}
        axes.annotate("", where[other], where[one], arrowprops=style, zorder=4)
    axes.set_xlim(-0.5, max(depths.values()) + 0.5)
    axes.set_ylim(tallest, 0)
    axes.set_axis_off()
    return fig


def _depths(root: Node, depth: int = 0) -> dict[str, int]:
    found = {root.name: depth}
    for node in root.needs:
        for name, deeper in _depths(node, depth + 1).items():
            found[name] = max(deeper, found.get(name, 0))
    return found


def _arrows(root: Node) -> list[tuple[str, str]]:
    pairs = [(node.name, needed.name) for node in root.walk() for needed in node.needs]
    return list(dict.fromkeys(pairs))
