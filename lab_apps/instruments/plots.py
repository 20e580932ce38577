"""Pictures: raw points, the prediction as a line, the null arm in the same panel, and a caption."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab_apps.instruments import machine
from lab_apps.instruments.eventloop import Readings
from lab_apps.instruments.queueing import long_run_waits
from lab_apps.instruments.trial import Trial
from lab_apps.instruments.victims import DELAYED_MS, Alone, Beside

# Okabe and Ito's palette; every series also has a marker of its own.
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
MARKERS = ("o", "s", "^", "D", "v", "P")
GREY = "#777777"
DPI = 100


def figure(width: float = 8.0, height: float = 4.0) -> Figure:
    """An empty figure that fits a projector; text at 9 to 11 points."""
    return Figure(figsize=(width, height), layout="constrained")


def show(fig: Figure, *, title: str, caption: str, alt: str) -> None:
    """Display the figure: the finding as its title, the caption beneath, `alt` for who can't see.

    The caption is what a reader needs to doubt the picture; see `conditions`.
    """
    from IPython.display import Image, display

    width_in = fig.get_figwidth()
    fig.suptitle(textwrap.fill(title, round(width_in * 10.5)), fontsize=11, x=0.01, ha="left")
    fig.supxlabel(
        textwrap.fill(caption, round(width_in * 16)), fontsize=7.5, x=0.01, ha="left", color="#444"
    )
    png = io.BytesIO()
    fig.savefig(png, dpi=DPI, metadata={"Software": None})
    display(Image(png.getvalue(), format="png", alt=alt))  # type: ignore[no-untyped-call]


def conditions(loop: str, model: str, trials: Sequence[Trial], not_shown: str) -> str:
    """The caption: versions, loop, workers, cores, `model` of the load, n, failures, limits."""
    n = sum(len(trial.rows) for trial in trials)
    failed = sum(sum(trial.errors.values()) for trial in trials)
    have = machine.versions()
    gil = "" if machine.gil_enabled() else ", no GIL"
    return (
        f"Python {have['python']}{gil}, FastAPI {have['fastapi']}, uvicorn {have['uvicorn']}"
        f" on {loop}, 1 worker, {machine.usable_cores()} cores; {model}; n = {n:,} requests,"
        f" {failed:,} failed."
        f" Not shown: {not_shown}"
    )


def timeline(columns: Sequence[tuple[str, Trial, Readings]]) -> Figure:
    """For each column a bar per request, from its intended instant to its answer, and loop delay.

    The trials have the streams "blocker" and "victim"; the readings are those of their server.
    """
    fig = figure(8, 5)
    axes = fig.subplots(2, len(columns), sharex=True, sharey="row", height_ratios=[3, 1])
    for column, (label, trial, readings) in enumerate(columns):
        bars, delay = axes[0][column], axes[1][column]
        order = np.argsort(trial.rows["intended_ns"], kind="stable")
        start_ms, end_ms = trial.at_s("intended") * 1e3, trial.at_s("done") * 1e3
        for stream, colour, width in (("victim", GREY, 1.6), ("blocker", COLOURS[column], 3.5)):
            index = trial.streams.index(stream)
            rank = [i for i, row in enumerate(order) if trial.rows["stream"][row] == index]
            rows = order[rank]
            bars.hlines(rank, start_ms[rows], end_ms[rows], color=colour, lw=width, label=stream)
            bars.plot(end_ms[rows], rank, "|", color=colour, ms=4)
        bars.invert_yaxis()
        bars.set_title(label, fontsize=10, color=COLOURS[column])
        seen = readings.since(trial.start_ns, trial.seconds)
        delay.plot(
            (seen.at_ns - trial.start_ns) / 1e6, seen.delay_ms, ".-", color=COLOURS[column], ms=3
        )
        delay.set_xlabel("ms since the start", fontsize=9)
        bars.legend(fontsize=8, loc="lower left", frameon=False)
    axes[0][0].set_ylabel("requests, in order of arrival", fontsize=9)
    axes[1][0].set_ylabel("loop delay, ms", fontsize=9)
    return fig


def utilisation_law(
    null: Alone,
    measured: Mapping[str, Sequence[Beside]],
    *,
    hold_ms: float,
    victim_rate: float,
    percentiles: tuple[float, ...] = (50, 95, 99),
) -> Figure:
    """Left: the victim's percentiles against ρ, the queue's as lines. Right: the share delayed.

    `measured` maps a label to its points; the first is the variant that blocks. Lines are the queue
    in the long run, crosses the queue for exactly the instants that were sent; both take the null
    arm's responses and the loop's own cost as inputs, and nothing from the points.
    """
    fig = figure(9, 4.6)
    left, right = fig.subplots(1, 2, width_ratios=[3, 2])
    blocking, *_ = measured.values()
    rhos, predicted = _long_run(null, hold_ms, victim_rate)
    for index, percentile in enumerate(percentiles):
        colour = COLOURS[index]
        left.plot(rhos, [np.percentile(ms, percentile) for ms in predicted], color=colour, lw=1.2)
        edge = 1 - percentile / 100
        left.axvline(edge, color=colour, lw=0.7, ls=":")
        left.annotate(
            f"{edge:.0%}",
            (edge, 0.01),
            xycoords=("data", "axes fraction"),
            fontsize=7,
            color=colour,
        )
        for series, points in enumerate(measured.values()):
            left.plot(
                [point.rho for point in points],
                [np.percentile(point.victim_ms, percentile) for point in points],
                MARKERS[series],
                color=colour,
                mfc=colour if series == 0 else "none",
                ms=6 if series == 0 else 5,
                label=f"p{percentile:g}" if series == 0 else None,
            )
        exact = [np.percentile(point.predicted_ms, percentile) for point in blocking]
        left.plot([point.rho for point in blocking], exact, "x", color="black", ms=4)
    _log_axes(left)
    left.set_xlabel("ρ = rate × hold of the blocking route", fontsize=9)
    left.set_ylabel("victim's response, ms", fontsize=9)
    for series, label in enumerate(measured):
        fill = GREY if series == 0 else "none"
        left.plot([], [], MARKERS[series], color=GREY, mfc=fill, ms=6, label=f"beside {label}")
    left.plot([], [], "x", color="black", ms=4, label="predicted for these instants")
    left.plot([], [], "-", color=GREY, lw=1.2, label="predicted in the long run")
    left.legend(fontsize=7.5, frameon=False, loc="upper left")
    edge_ms = null.floor_ms + DELAYED_MS
    shares = [float(np.mean(ms > edge_ms)) for ms in predicted]
    right.plot(rhos, shares, color="black", lw=1.2, label="predicted in the long run")
    right.plot(rhos, rhos, color=GREY, lw=0.8, ls=":", label="ρ itself")
    for series, (label, points) in enumerate(measured.items()):
        right.plot(
            [point.rho for point in points],
            [max(point.delayed, 0.001) for point in points],
            MARKERS[series],
            color=COLOURS[3 + series],
            label=f"beside {label}",
        )
    _log_axes(right)
    right.set_ylim(0.0008, 1.3)
    right.set_xlabel("ρ", fontsize=9)
    right.set_ylabel(f"share of victims delayed by over {DELAYED_MS:g} ms", fontsize=9)
    right.legend(fontsize=7.5, frameon=False, loc="upper left")
    return fig


def _long_run(
    null: Alone, hold_ms: float, victim_rate: float
) -> tuple[list[float], list[npt.NDArray[np.float64]]]:
    """Values of ρ that the loop can keep up with, and the responses predicted at each, in ms."""
    rhos: list[float] = []
    predicted: list[npt.NDArray[np.float64]] = []
    for rho in np.geomspace(0.003, 0.93, 36):
        waits_ms = long_run_waits(rho, hold_ms, victim_rate / 1e3, null.own_ms)
        if len(waits_ms):
            rhos.append(float(rho))
            predicted.append(null.added_to(waits_ms))
    return rhos, predicted


def against_prediction(
    measured: Mapping[str, Mapping[float, Sequence[float]]],
    predicted: Mapping[str, Callable[[float], float]],
    *,
    x: Sequence[float],
    xlabel: str,
    ylabel: str,
    log: bool = True,
) -> Figure:
    """Every raw value of `measured[label][at]`, and the prediction of the same label as a line.

    `x` are the values to draw predictions at; those that were measured get a tick.
    """
    fig = figure(8, 4)
    axes = fig.subplots()
    ticks: set[float] = set()
    for index, (label, groups) in enumerate(measured.items()):
        colour = COLOURS[index]
        if label in predicted:
            line = [predicted[label](value) for value in x]
            axes.plot(x, line, "-", color=colour, lw=1, label=f"{label}, predicted")
        at = [value for value, group in groups.items() for _ in group]
        values = [value for group in groups.values() for value in group]
        axes.plot(at, values, MARKERS[index], color=colour, ms=5, mfc="none", label=label)
        ticks |= set(groups)
    if log:
        _log_axes(axes)
    labels: dict[float, str] = {}  # no two so close that they would overlap
    for value in sorted(ticks):
        if not labels or not log or value > 1.1 * max(labels):
            labels[value] = f"{value:g}"
    axes.set_xticks(list(labels), list(labels.values()))
    axes.set_xlabel(xlabel, fontsize=9)
    axes.set_ylabel(ylabel, fontsize=9)
    axes.legend(fontsize=8, frameon=False)
    return fig


def by_name(values: Mapping[str, float], *, truth: float, xlabel: str) -> Figure:
    """A dot per name on a log axis, and the truth as a line."""
    fig = figure(8, 0.8 + 0.45 * len(values))
    axes = fig.subplots()
    names = list(values)
    axes.axvline(truth, color="black", lw=1)
    axes.plot([values[name] for name in names], range(len(names)), "o", color=COLOURS[0], ms=8)
    for rank, name in enumerate(names):
        axes.annotate(
            f"{values[name]:.3g}", (values[name], rank), (8, -3), textcoords="offset points"
        )
    axes.set_yticks(range(len(names)), names)
    axes.margins(y=0.15)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlim(truth / 1.5, max(values.values()) * 2)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("{x:g}")
    axes.set_xlabel(xlabel, fontsize=9)
    return fig


def deviation(
    measured: Mapping[float, Sequence[float]], predicted: Callable[[float], float]
) -> float:
    """The largest relative deviation of a group's median from its prediction: 0.03 is 3%."""
    return max(abs(float(np.median(g)) / predicted(at) - 1) for at, g in measured.items())


def _log_axes(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.grid(True, which="major", lw=0.3, color="#cccccc")
