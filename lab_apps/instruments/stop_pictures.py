"""Pictures of a stop: requests, responses, tasks, the signal and the end, on one line of time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lab_apps.instruments import plots
from lab_apps.instruments.ledger import Event
from lab_apps.instruments.plots import COLOURS, GREY, figure
from lab_apps.instruments.stops import Fate

DONE, LOST = COLOURS[1], COLOURS[0]
WORKERS = (COLOURS[1], COLOURS[2], COLOURS[3], COLOURS[5])


class Attempt(NamedTuple):
    """One run of a task: when it began, when it was done, or None, in ns; and in which process."""

    task: str
    begun_ns: int
    done_ns: int | None
    pid: int


def attempts(events: Sequence[Event]) -> list[Attempt]:
    """Every beginning with the end that the same process noted for the task, by beginning."""
    ends: dict[tuple[str, int], list[int]] = {}
    for event in events:
        if event.what == "done":
            ends.setdefault((event.task, event.pid), []).append(event.at_ns)
    found = []
    for event in events:
        if event.what == "begun":
            left = ends.get((event.task, event.pid), [])
            found.append(Attempt(event.task, event.at_ns, left.pop(0) if left else None, event.pid))
    return found


def timelines(fates: Mapping[str, Mapping[str, Fate]], *, width: float = 10.0) -> Figure:
    """A row of panels for each key, a panel for each fate: a line for each task, over seconds.

    Ticks are requests and dots responses, in their order; blue is work that was done, red work that
    was not, up to the end of its process. The dashed line is the signal, the solid one the end of
    the process.
    """
    by_row = [list(row.values()) for row in fates.values()]
    columns = len(by_row[0])
    fig = figure(width, 0.9 + 1.25 * len(fates))
    grid = fig.subplots(len(fates), columns, sharex="col", squeeze=False)
    for row, (label, panels) in zip(grid, fates.items(), strict=True):
        row[0].set_ylabel(label, fontsize=9)
        for axes, (title, fate) in zip(row, panels.items(), strict=True):
            timeline(axes, fate)
            if axes in grid[0]:
                axes.set_title(title, fontsize=9)
            axes.annotate(
                f"{fate.lost} of {fate.accepted} lost",
                (0.97, 0.1),
                xycoords="axes fraction",
                fontsize=8.5,
                ha="right",
                weight="bold" if fate.lost else "normal",
                bbox={"facecolor": "white", "alpha": 0.85, "lw": 0, "pad": 2},
            )
    for rank, axes in enumerate(grid[-1]):
        ends_s = [_since_s(panels[rank], _last_ns(panels[rank])) for panels in by_row]
        axes.set_xlim(-0.02 * max(ends_s), 1.04 * max(ends_s))
        axes.set_xlabel("seconds since the first request", fontsize=8.5)
    _legend(fig, ("work done", DONE), ("work lost", LOST))
    return fig


def by_worker(fate: Fate, names: Sequence[str], *, signal: bool = True) -> Figure:
    """A line for each job, a colour for each worker process that did any, in the order of those.

    A job's second attempt stands on its line. Red: work whose worker was stopped before its end.
    """
    fig = figure(9, 3.4)
    axes = fig.subplots()
    pids = list(dict.fromkeys(run.pid for run in attempts(fate.events) if run.done_ns))
    colours = {pid: WORKERS[rank % len(WORKERS)] for rank, pid in enumerate(pids)}
    timeline(axes, fate, colours, signal=signal)
    axes.set_ylabel(f"{fate.accepted} jobs", fontsize=9)
    axes.set_xlabel("seconds since the first request", fontsize=9)
    kinds = [(name, colours[pid]) for name, pid in zip(names, pids, strict=True)]
    _legend(fig, *kinds, *([("not finished", LOST)] if signal else []), signal=signal)
    return fig


def conditions(fates: Iterable[Fate], not_shown: str) -> str:
    """The caption: see `plots.conditions`."""
    trials = [fate.trial for fate in fates]
    return plots.conditions(
        "uvloop", "POST, open loop", trials, not_shown, workers="1 worker, a new server a panel"
    )


def describe(panels: Mapping[str, Mapping[str, Fate]]) -> str:
    """`timelines` in words: tasks lost by row and column."""
    said = [
        f"{label}: " + ", ".join(f"{title}: {fate.lost}" for title, fate in row.items())
        for label, row in panels.items()
    ]
    return f"Tasks over time, a line each, with the signal and the end. Lost: {'; '.join(said)}."


def counted(fate: Fate | None) -> str:
    """A cell of a table: "50 lost", "0 lost, 10 twice"; "–" where there is nothing to count."""
    if fate is None:
        return "–"
    return f"{fate.lost} lost" + (f", {fate.doubled} twice" if fate.doubled else "")


def timeline(
    axes: Axes, fate: Fate, colours: Mapping[int, str] | None = None, *, signal: bool = True
) -> None:
    """Draw one fate: see `timelines`; with `colours`, those of the processes for work done."""
    for moment, style in (
        ("intended", {"marker": "|", "ms": 3}),
        ("done", {"marker": ".", "ms": 2}),
    ):
        at_s = np.sort(fate.trial.at_s(moment))
        axes.plot(at_s, np.arange(len(at_s)), ls="", color=GREY, **style)  # type: ignore[arg-type]
    runs = attempts(fate.events)
    lines = {task: rank for rank, task in enumerate(dict.fromkeys(run.task for run in runs))}
    for run in runs:
        end_ns = run.done_ns or fate.ended_ns
        colour = (colours or {}).get(run.pid, DONE) if run.done_ns else LOST
        axes.plot(
            [_since_s(fate, run.begun_ns), _since_s(fate, end_ns)],
            [lines[run.task]] * 2,
            "-",
            color=colour,
            lw=1.2,
            alpha=0.8,
        )
    if signal:
        axes.axvline(_since_s(fate, fate.signalled_ns), color="black", lw=1, ls="--")
        axes.axvline(_since_s(fate, fate.ended_ns), color="black", lw=1)
    axes.set_yticks([])
    axes.tick_params(labelsize=8)


def _last_ns(fate: Fate) -> int:
    """When its process had ended and the last of its work was done."""
    return max(fate.ended_ns, *(event.at_ns for event in fate.events))


def _since_s(fate: Fate, at_ns: int) -> float:
    """Seconds from the first request."""
    return (at_ns - fate.trial.start_ns) / 1e9


def _legend(fig: Figure, *kinds: tuple[str, str], signal: bool = True) -> None:
    handles = [
        Line2D([], [], color=GREY, marker="|", ls="", label="request"),
        Line2D([], [], color=GREY, marker=".", ls="", label="response"),
        *(Line2D([], [], color=colour, lw=2, label=label) for label, colour in kinds),
    ]
    if signal:
        handles += [
            Line2D([], [], color="black", lw=1, ls="--", label="signal"),
            Line2D([], [], color="black", lw=1, label="process gone"),
        ]
    fig.legend(
        handles=handles, loc="outside right upper", fontsize=8, frameon=False, handlelength=1.4
    )
