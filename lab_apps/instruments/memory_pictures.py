"""Pictures of memory: peaks against requests in flight, and its kinds over time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from lab_apps.instruments.footprint import Samples
from lab_apps.instruments.plots import COLOURS, MARKERS, figure, log_axes

FLOOR_MIB = 0.5  # peaks are drawn from here on
KINDS = {  # of memory, by the field of Samples
    "anon_mib": "the process's own",
    "tmpfs_mib": "tmpfs (system)",
    "cache_mib": "page cache (system)",
}


def peaks(
    panels: Mapping[str, Mapping[str, Mapping[int, Sequence[float]]]],
    predicted: Mapping[str, Callable[[float], float]],
) -> Figure:
    """For each panel every peak in MiB by label and requests in flight; predictions as lines.

    A prediction is drawn in all panels, in the colour of its label or in black.
    """
    fig = figure(9, 4)
    axes = fig.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    labels = [label for panel in panels.values() for label in panel]
    for plot, (title, panel) in zip(axes, panels.items(), strict=True):
        numbers = sorted({number for groups in panel.values() for number in groups})
        xs = np.geomspace(numbers[0] / 1.3, numbers[-1] * 1.3, 20)
        for label, line in predicted.items():
            style = {"color": "black", "label": label}
            if label in labels:
                style = {"color": COLOURS[labels.index(label) % len(COLOURS)]}
            if label in panel or label not in labels:
                plot.plot(xs, [line(x) for x in xs], lw=1, **style)
        for label, groups in panel.items():
            index = labels.index(label)
            at = [number for number, group in groups.items() for _ in group]
            mib = [max(value, FLOOR_MIB) for group in groups.values() for value in group]
            look = {"color": COLOURS[index % len(COLOURS)], "mfc": "none", "ms": 6}
            # Beside each other where they would lie on each other.
            shift = 1.04 ** (index % 3 - 1)
            marker = MARKERS[index % len(MARKERS)]
            plot.plot(np.array(at) * shift, mib, marker, label=label, **look)
        log_axes(plot)
        plot.set_xticks(numbers, [str(number) for number in numbers])
        plot.set_xlabel("uploads in flight", fontsize=9)
        plot.set_title(title, fontsize=9)
        plot.legend(fontsize=7.5, frameon=False, loc="upper left")
    axes[0].set_ylabel("peak of the process above idle, MiB", fontsize=9)
    return fig


def over_time(columns: Mapping[str, Samples], *, size_mib: float) -> Figure:
    """For each column the growth of each kind of memory over time, and `size_mib` as a line."""
    fig = figure(10, 3.6)
    axes = fig.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    for plot, (title, samples) in zip(axes, columns.items(), strict=True):
        plot.axhline(size_mib, color="black", lw=0.8, ls=":")
        at_ms = (samples.at_ns - samples.at_ns[0]) / 1e6
        for index, (name, label) in enumerate(KINDS.items()):
            plot.plot(at_ms, getattr(samples, name), color=COLOURS[index], lw=1.5, label=label)
        plot.set_title(title, fontsize=9)
        plot.set_xlabel("ms", fontsize=9)
        plot.grid(True, lw=0.3, color="#cccccc")
    axes[0].annotate("size", (0, size_mib), (2, 2), textcoords="offset points", fontsize=8)
    axes[0].set_ylabel("growth, MiB", fontsize=9)
    axes[0].legend(fontsize=7.5, frameon=False, labelcolor=[*COLOURS[: len(KINDS)]])
    return fig
