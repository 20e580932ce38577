"""Pictures of what bodies cost: one body of each kind beside the others, and sizes in and out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from lab_apps.instruments.plots import COLOURS, GREY, MARKERS, figure, log_axes

SPREAD = 0.25  # of a row's height, on either side


@dataclass(frozen=True)
class Column:
    """Raw values of each kind, what they are with their unit, and a value to draw across or 0."""

    label: str
    values: Mapping[str, Sequence[float]]
    log: bool = True
    across: float = 0.0


def kinds(columns: Sequence[Column], *, null: str = "") -> Figure:
    """A row for each kind, a panel for each column, every value a dot; the median as a bar.

    The row named `null`, to which the others are compared, is grey and has its median drawn down
    through all rows. Raises ValueError where columns differ in their kinds.
    """
    names = list(columns[0].values)
    for column in columns:
        if list(column.values) != names:
            raise ValueError(f"{column.label} has {list(column.values)}, not {names}")
    fig = figure(9.5, 1.0 + 0.34 * len(names))
    axes = fig.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    spread = np.random.default_rng(0)
    for plot, column in zip(axes, columns, strict=True):
        for rank, (name, values) in enumerate(column.values.items()):
            heights = rank + spread.uniform(-SPREAD, SPREAD, len(values))
            colour = GREY if name == null else COLOURS[1]
            plot.plot(values, heights, ".", color=colour, ms=5, alpha=0.7)
            middle = float(np.median(values))
            plot.plot([middle, middle], [rank - 0.38, rank + 0.38], "-", color="black", lw=1.5)
            if name == null:
                plot.axvline(middle, color=GREY, lw=0.8)
        if column.across:
            plot.axvline(column.across, color="black", lw=0.8, ls=":")
        if column.log:
            plot.set_xscale("log")
            plot.xaxis.set_major_formatter("{x:g}")
            plot.minorticks_off()
        else:
            plot.set_xlim(left=0)
        plot.grid(True, axis="x", lw=0.3, color="#cccccc")
        plot.set_xlabel(column.label, fontsize=9)
    axes[0].set_yticks(range(len(names)), names, fontsize=9)
    axes[0].set_ylim(len(names) - 0.4, -0.7)
    return fig


def sizes(
    panels: Mapping[str, Mapping[str, Mapping[float, float]]],
    predicted: Mapping[str, Mapping[float, float]],
    *,
    xlabel: str,
) -> Figure:
    """A panel for each quantity, a marker for each of its values by label and bytes in.

    Both axes are logarithmic. `predicted` are values of a panel, drawn as a black line.
    """
    fig = figure(9.5, 4.2)
    axes = fig.subplots(1, len(panels), squeeze=False)[0]
    for plot, (quantity, groups) in zip(axes, panels.items(), strict=True):
        if quantity in predicted:
            line = predicted[quantity]
            plot.plot([*line], [*line.values()], color="black", lw=1, label="predicted")
        for index, (label, values) in enumerate(groups.items()):
            look = {"color": COLOURS[index % len(COLOURS)], "mfc": "none", "ms": 6, "lw": 0.6}
            marker = MARKERS[index % len(MARKERS)]
            plot.plot([*values], [*values.values()], f"{marker}:", label=label, **look)
        log_axes(plot)
        for axis in (plot.xaxis, plot.yaxis):
            axis.set_major_formatter("{x:,.0f}")
        plot.set_xlabel(xlabel, fontsize=9)
        plot.set_ylabel(quantity, fontsize=9)
    axes[0].legend(fontsize=8, frameon=False)
    return fig
