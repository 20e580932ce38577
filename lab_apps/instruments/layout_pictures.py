"""Pictures of layouts: folders touched against the size of commits, beside shuffled labels."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from lab_apps.instruments.layout_study import Study
from lab_apps.instruments.plots import COLOURS, MARKERS, figure, log_axes

LAYOUTS = {"by domain": "mean_domains", "by type": "mean_kinds"}
MOST_AREA, LEAST_AREA = 45.0, 6.0  # of a marker, in square points
TICKS = (2, 3, 4, 5, 6, 8, 10, 15, 20)
FOLDER_TICKS = (1, 2, 3, 5, 10, 20)


def folders_touched(studies: Sequence[Study]) -> Figure:
    """A panel for each study: the mean number of folders a commit of each size touches.

    A marker for each size that occurs, its area by the number of commits; the bands hold 95% of
    shuffled labels; the line is the flip and its number, shaded by its interval.
    """
    columns = min(2, len(studies))
    rows = math.ceil(len(studies) / columns)
    fig = figure(5 * columns if columns > 1 else 7.5, 3.1 * rows + 0.4)
    panels = fig.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axes, study in zip(panels, studies, strict=False):
        _panel(axes, study)
    for axes in panels[len(studies) :]:
        axes.set_axis_off()
    colours = dict(zip(LAYOUTS, COLOURS, strict=False))
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=colours[layout], marker=marker, ms=5, label=layout)
        for layout, marker in zip(LAYOUTS, MARKERS, strict=False)
    ]
    handles += [
        Patch(color=colours[layout], alpha=0.2, lw=0, label=f"{layout}, shuffled labels")
        for layout in LAYOUTS
    ]
    handles.append(Line2D([], [], color="black", lw=1, ls="--", label="flip"))
    panels[len(studies[:2]) - 1].legend(
        handles=handles, loc="lower right", fontsize=8, framealpha=0.9, edgecolor="none"
    )
    return fig


def _panel(axes: Axes, study: Study) -> None:
    sizes = [bucket for bucket in study.sizes if bucket.commits]
    files = [bucket.size[0] for bucket in sizes]
    most = max((bucket.commits for bucket in sizes), default=1)
    areas = [max(LEAST_AREA, MOST_AREA * bucket.commits / most) for bucket in sizes]
    for (_, name), colour, marker in zip(LAYOUTS.items(), COLOURS, MARKERS, strict=False):
        nulls = [bucket.null[name] for bucket in sizes]
        axes.fill_between(
            files,
            [null.low for null in nulls],
            [null.high for null in nulls],
            color=colour,
            alpha=0.2,
            lw=0,
        )
        seen = [bucket.observed[name] for bucket in sizes]
        axes.plot(files, seen, color=colour, lw=1)
        axes.scatter(files, seen, areas, color=colour, marker=marker, zorder=3)
    _flip(axes, study)
    log_axes(axes)
    axes.set_xticks(TICKS, [str(tick) for tick in TICKS])
    axes.set_yticks(FOLDER_TICKS, [str(tick) for tick in FOLDER_TICKS])
    axes.set_xlim(1.9, 21)
    axes.set_ylim(0.9, 21)
    axes.set_title(
        f"{study.name}: {study.commits:,} commits, {study.domains} domains, {study.kinds} kinds",
        fontsize=9,
        loc="left",
        parse_math=False,  # a repository's name may have a dollar
    )
    if axes.get_subplotspec().is_last_row():  # type: ignore[union-attr]
        axes.set_xlabel("files in the commit", fontsize=9)
    if axes.get_subplotspec().is_first_col():  # type: ignore[union-attr]
        axes.set_ylabel("folders touched (mean)", fontsize=9)


def _flip(axes: Axes, study: Study) -> None:
    """The flip as a line between the sizes it lies between, with its number; or that none is."""
    if not study.flip_seen:
        text, at = "no flip seen", 2.0
    else:
        # From `flip` files on by type: the line stands before it, as do the interval's edges.
        low, high = (min(edge, 22.0) - 0.5 for edge in study.flip_interval)
        at = min(study.flip, 21.0) - 0.5
        axes.axvspan(low, high, color=COLOURS[5], alpha=0.25, lw=0, zorder=0)
        axes.axvline(at, color="black", lw=1, ls="--")
        low_files, high_files = study.flip_interval
        text = f"by type from {study.flip:g} files\n({low_files:g} … {high_files:g})"
    axes.annotate(
        text,
        (at, 0.97),
        (-4 if study.flip_seen else 0, 0),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        fontsize=8,
        va="top",
        ha="right" if study.flip_seen else "left",
    )
