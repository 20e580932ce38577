"""A table of texts as a picture, the cells that are not as they should be marked."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lab_apps.instruments.plots import figure

RIGHT, WRONG, NONE = "#DCE9F3", "#D55E00", "#F2F2F2"
SIGN = "✗ "


def grid(
    cells: Mapping[str, Mapping[str, str]],
    wrong: Callable[[str, str], bool],
    *,
    width: float = 9.5,
    missing: str = "–",
    monospace: bool = False,
) -> Figure:
    """A row for each key of `cells`, a column for each of the first row's, a text in each cell.

    Where `wrong(row, column)`, the cell is dark and its text has a cross before it, so that it is
    told without colour too. A cell whose text is `missing` is grey and never wrong. `monospace` is
    for the names of the rows, where these are code. Raises ValueError where rows differ in their
    columns.
    """
    rows, columns = list(cells), list(next(iter(cells.values()), {}))
    for row in rows:
        if list(cells[row]) != columns:
            raise ValueError(f"row {row!r} has the columns {list(cells[row])}, not {columns}")
    titles = [name if "\n" in name else textwrap.fill(name, 13) for name in columns]
    lines = max((title.count("\n") for title in titles), default=0)
    fig = figure(width, 0.9 + 0.27 * len(rows) + 0.17 * lines)
    axes = fig.subplots()
    for y, row in enumerate(rows):
        for x, column in enumerate(columns):
            text = cells[row][column]
            fails = text != missing and wrong(row, column)
            colour = WRONG if fails else NONE if text == missing else RIGHT
            corner = (x - 0.5, y - 0.5)
            axes.add_patch(Rectangle(corner, 1, 1, facecolor=colour, edgecolor="white", lw=1.5))
            said = SIGN * fails + text
            # Not parsed: a text may have dollar signs, as regular expressions do.
            axes.text(
                *(x, y, said),
                ha="center",
                va="center",
                fontsize=8.5,
                color="black",
                weight="bold" if fails else "normal",
                parse_math=False,
            )
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xticks(range(len(columns)), titles, fontsize=9, parse_math=False)
    family = "monospace" if monospace else None
    axes.set_yticks(range(len(rows)), rows, fontsize=8.5, family=family, parse_math=False)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return fig
