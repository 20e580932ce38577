"""What the database sees of an app's connections while its requests' tasks run."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from lab_apps.instruments.lockup import Sessions
from lab_apps.instruments.plots import COLOURS, GREY, figure
from lab_apps.instruments.task_run import Run


@dataclass(frozen=True)
class Watched:
    """A run, and what the database's sessions did meanwhile."""

    run: Run
    sessions: Sessions

    @property
    def span_ns(self) -> tuple[int, int]:
        """From the last task's beginning to the first one's end. Raises ValueError without any."""
        return max(self.run.stamps_ns("begun")), min(self.run.stamps_ns("done"))

    @property
    def held(self) -> tuple[int, int]:
        """The least and the most connections in a transaction in the middle half of that span.

        A request gives its session back a moment after its answer, and a task may take one at its
        end. Raises ValueError where the database wasn't asked in that time.
        """
        begun_ns, done_ns = self.span_ns
        quarter_ns = (done_ns - begun_ns) // 4
        stamps = zip(self.sessions.at_ns, self.sessions.idle, self.sessions.active, strict=True)
        low_ns, high_ns = begun_ns + quarter_ns, done_ns - quarter_ns
        counts = [idle + active for at, idle, active in stamps if low_ns < at < high_ns]
        return min(counts), max(counts)


def over_time(arms: Mapping[str, Watched]) -> Figure:
    """A panel for each arm: connections in a transaction over time, the tasks' work in grey."""
    fig = figure(9.5, 2.8)
    panels = fig.subplots(1, len(arms), sharey=True, squeeze=False)[0]
    for index, (axes, (name, seen)) in enumerate(zip(panels, arms.items(), strict=True)):
        start_ns = seen.run.trial.start_ns
        at_ms = (np.array(seen.sessions.at_ns) - start_ns) / 1e6
        taken = np.array(seen.sessions.idle) + np.array(seen.sessions.active)
        axes.set_xlim(-20, 1.02 * at_ms[-1])
        axes.axvspan(*((at - start_ns) / 1e6 for at in seen.span_ns), color="#E5E5E5", lw=0)
        axes.step(at_ms, taken, where="post", color=COLOURS[index % len(COLOURS)], lw=1.5)
        axes.plot(at_ms, taken, ".", color=COLOURS[index % len(COLOURS)], ms=3)
        axes.set_title(textwrap.fill(name, 16), fontsize=9)
        axes.set_xlabel("ms", fontsize=9)
        axes.grid(True, lw=0.3, color=GREY)
    panels[0].set_ylabel("connections in a\ntransaction", fontsize=9)
    return fig
