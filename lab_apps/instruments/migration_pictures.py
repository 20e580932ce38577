"""Pictures of migrations: what a table's other users wait while one wants its lock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.figure import Figure

from lab_apps.instruments.plots import COLOURS, GREY, MARKERS, figure
from lab_apps.instruments.table_locks import Span
from lab_apps.instruments.trial import Trial


@dataclass(frozen=True)
class Panel:
    """One way to migrate: the requests around it, and when it waited for its lock.

    `waits` are pairs of instants in ns; `predicted_ms` maps seconds since the span's beginning to
    the response that a request due then should have, as points of a line.
    """

    trial: Trial
    span: Span
    waits: Sequence[tuple[int, int]] = ()
    predicted_ms: Mapping[float, float] = field(default_factory=dict)


def over_time(panels: Mapping[str, Panel], *, mark: str = "") -> Figure:
    """For each panel the response of every request by when it was due, from the span's beginning.

    Logarithmic in ms. Each stream has its colour; waits for the lock are shaded, the prediction is
    a black line, and the end of the span a dotted one that is named `mark`. A request without an
    answer is a cross at the top.
    """
    fig = figure(10, 3.8)
    axes = fig.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for plot, (title, panel) in zip(axes, panels.items(), strict=True):
        for begun_ns, ended_ns in panel.waits:
            edges = [(ns - panel.span.begun_ns) / 1e9 for ns in (begun_ns, ended_ns)]
            plot.axvspan(*edges, color=COLOURS[5], alpha=0.3, lw=0)
        for index, name in enumerate(panel.trial.streams):
            rows = panel.trial.stream(name).rows
            at_s = (rows["intended_ns"] - panel.span.begun_ns) / 1e9
            ms = (rows["done_ns"] - rows["intended_ns"]) / 1e6
            good = rows["error"] == ""
            look = {"color": COLOURS[index], "ms": 3.5, "mfc": "none", "mew": 0.8}
            plot.plot(at_s[good], ms[good], MARKERS[index], label=name, **look)
            lost = np.full(np.count_nonzero(~good), 0.97)
            plot.plot(at_s[~good], lost, "x", transform=plot.get_xaxis_transform(), **look)
        line = panel.predicted_ms
        plot.plot(list(line), list(line.values()), color="black", lw=1.2, label="predicted")
        if mark:
            plot.axvline(panel.span.seconds, color=GREY, lw=1, ls=":")
            where = (panel.span.seconds, 0.02)
            plot.annotate(
                mark, where, (-3, 0), xycoords=plot.get_xaxis_transform(),
                textcoords="offset points", fontsize=7.5, ha="right", color=GREY,
            )  # fmt: skip
        plot.set_yscale("log")
        plot.yaxis.set_major_formatter("{x:g}")
        plot.minorticks_off()
        plot.grid(True, axis="y", lw=0.3, color="#cccccc")
        plot.set_title(title, fontsize=9)
        plot.set_xlabel("request due, s after the migration began", fontsize=8.5)
    axes[0].set_ylabel("response, ms", fontsize=9)
    handles, labels = axes[min(1, len(axes) - 1)].get_legend_handles_labels()
    axes[0].legend(handles, labels, fontsize=7.5, loc="upper left")
    return fig
