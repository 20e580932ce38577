"""Pictures: raw points, the prediction as a line, the null arm in the same panel, and a caption."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from lab_apps.instruments import machine
from lab_apps.instruments.trial import Trial

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


def conditions(
    loop: str,
    model: str,
    trials: Sequence[Trial],
    not_shown: str,
    *,
    workers: str = "1 worker",
    others: int = 0,
    database: bool = True,
) -> str:
    """The caption: versions, loop, workers, cores, `model` of the load, n, failures, limits.

    `others` are requests that belong to no trial, so that it isn't known here which of them failed.
    Without `database` the Postgres that this process has running is no part of the result.
    """
    n = sum(len(trial.rows) for trial in trials) + others
    failed = sum(sum(trial.errors.values()) for trial in trials)
    have = machine.versions()
    gil = "" if machine.gil_enabled() else ", no GIL"
    uses = "" if have["postgres"] == "-" or not database else f", Postgres {have['postgres']}"
    failures = f", {failed:,} failed" if trials else ""
    return (
        f"Python {have['python']}{gil}, FastAPI {have['fastapi']}, Pydantic {have['pydantic']},"
        f" uvicorn {have['uvicorn']} on {loop}{uses}, {workers},"
        f" {machine.usable_cores()} cores; {model};"
        f" n = {n:,} requests{failures}."
        f" Not shown: {not_shown}"
    )


def against_prediction(
    measured: Mapping[str, Mapping[float, Sequence[float]]],
    predicted: Mapping[str, Callable[[float], float]],
    *,
    x: Sequence[float],
    xlabel: str,
    ylabel: str,
    log: bool = True,
    level: float | None = None,
    flip: tuple[float, float] | None = None,
) -> Figure:
    """Every raw value of `measured[label][at]`, and the prediction of the same label as a line.

    A prediction with a label of its own is drawn in black. `x` are the values to draw predictions
    at; those that were measured get a tick. `level` is a value of interest, drawn across, and
    `flip` the interval in which the curve crosses it.
    """
    fig = figure(8, 4)
    axes = fig.subplots()
    if level is not None:
        axes.axhline(level, color=GREY, lw=0.8, ls=":")
    if flip is not None:
        axes.axvspan(*flip, color=COLOURS[5], alpha=0.35, lw=0)
        axes.annotate(
            " … ".join(f"{float(f'{edge:.2g}'):g}" for edge in flip),  # 360, not 3.6e+02
            (flip[1], 0.96),
            xycoords=("data", "axes fraction"),
            fontsize=8,
            va="top",
        )
    for label, line in predicted.items():
        own = label not in measured
        colour = "black" if own else COLOURS[list(measured).index(label)]
        axes.plot(x, [line(value) for value in x], color=colour, lw=1, label=label if own else None)
    for index, (label, groups) in enumerate(measured.items()):
        at = [value for value, group in groups.items() for _ in group]
        values = [value for group in groups.values() for value in group]
        colour = COLOURS[index]
        axes.plot(at, values, MARKERS[index], color=colour, ms=5, mfc="none", label=label)
    if predicted.keys() & measured.keys():
        axes.plot([], [], color=GREY, lw=1, label="lines: predicted")
    if log:
        log_axes(axes)
    labels: dict[float, str] = {}  # no two so close that they would overlap
    everywhere = sorted({value for groups in measured.values() for value in groups})
    gap = 0.04 * (everywhere[-1] - everywhere[0])
    for value in everywhere:
        before = max(labels, default=None)
        if before is None or value > (1.15 * before if log else before + gap):
            labels[value] = f"{value:.2g}" if value < 10 else f"{value:g}"
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


def strip(values: Mapping[str, npt.NDArray[np.float64]], *, xlabel: str) -> Figure:
    """Every value as a dot on a log axis, a line for each name, and the median as a bar."""
    fig = figure(8, 0.9 + 0.42 * len(values))
    axes = fig.subplots()
    spread = np.random.default_rng(0)
    for rank, group in enumerate(values.values()):
        colour = COLOURS[rank % len(COLOURS)]
        heights = rank + spread.uniform(-0.25, 0.25, len(group))
        axes.plot(group, heights, ".", color=colour, ms=3, alpha=0.6)
        middle = float(np.median(group))
        axes.plot([middle, middle], [rank - 0.38, rank + 0.38], "-", color="black", lw=1.5)
        axes.annotate(
            f"{middle:.2g}", (middle, rank - 0.38), (3, 1), textcoords="offset points", fontsize=8
        )
    axes.set_yticks(range(len(values)), list(values), fontsize=9)
    axes.set_ylim(len(values) - 0.4, -0.7)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.grid(True, axis="x", lw=0.3, color="#cccccc")
    axes.set_xlabel(xlabel, fontsize=9)
    return fig


def matrix(
    counts: Mapping[str, Mapping[str, float]],
    *,
    of: float,
    xlabel: str = "",
    ylabel: str = "",
    said: Callable[[float], str] | None = None,
    width: float = 8.0,
) -> Figure:
    """A cell for each row and column with its count out of `of`; dark where nothing was.

    A cell says "3 of 5", or what `said` makes of its count.
    """
    rows, columns = list(counts), list(next(iter(counts.values())))
    lines = max(name.count("\n") for name in columns)
    fig = figure(width, 1.1 + 0.36 * len(rows) + 0.17 * lines)
    axes = fig.subplots()
    shares = np.array([[counts[row][column] / of for column in columns] for row in rows])
    axes.imshow(shares, cmap="cividis", vmin=-0.2, vmax=1.4, aspect="auto")
    for y, row in enumerate(rows):
        for x, column in enumerate(columns):
            count = counts[row][column]
            text = said(count) if said else f"{count} of {of}"
            colour = "white" if shares[y, x] < 0.53 else "black"  # equally legible there
            axes.text(x, y, text, ha="center", va="center", color=colour, fontsize=9)
    axes.set_xticks(range(len(columns)), columns, fontsize=9)
    axes.set_yticks(range(len(rows)), rows, fontsize=9)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.set_xlabel(xlabel, fontsize=9)
    axes.set_ylabel(ylabel, fontsize=9)
    return fig


def deviation(
    measured: Mapping[float, Sequence[float]], predicted: Callable[[float], float]
) -> float:
    """The largest relative deviation of a group's median from its prediction: 0.03 is 3%."""
    return max(abs(float(np.median(g)) / predicted(at) - 1) for at, g in measured.items())


def log_axes(axes: Axes) -> None:
    """Both axes logarithmic, with plain numbers and a light grid."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(
            LogLocator(subs=(1, 2, 5) if _narrow(*axis.get_view_interval()) else (1,))
        )
        axis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.grid(True, which="major", lw=0.3, color="#cccccc")


def _narrow(low: float, high: float) -> bool:
    """Whether an axis spans less than two decades, so that powers of ten would be too few."""
    return high < 100 * low
