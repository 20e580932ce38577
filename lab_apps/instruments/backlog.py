"""Work that is accepted and not done: counted over time, beside what arithmetic says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from lab_apps.instruments.footprint import Samples
from lab_apps.instruments.memory import MIB
from lab_apps.instruments.plots import COLOURS, GREY, MARKERS, figure
from lab_apps.instruments.task_run import Run
from lab_apps.instruments.trial import Trial

Seconds = npt.NDArray[np.float64]


def departures_s(at_s: Seconds, servers: int, hold_s: float) -> Seconds:
    """When each of these arrivals is done: so many servers, first come first served, a fixed hold.

    Arrivals in order. Kiefer and Wolfowitz's recursion (1955) for a constant service time, in which
    nobody overtakes: an arrival takes the place of the one that came `servers` before it.
    """
    done_s = np.empty(len(at_s))
    for number, arrival_s in enumerate(at_s):
        free_s = done_s[number - servers] if number >= servers else 0.0
        done_s[number] = max(arrival_s, free_s) + hold_s
    return done_s


@dataclass(frozen=True)
class Backlog:
    """How many tasks were accepted and not done: `count[i]` from `at_s[i]` on."""

    at_s: Seconds
    count: npt.NDArray[np.int64]

    @classmethod
    def between(cls, accepted_s: Seconds, done_s: Seconds) -> Backlog:
        """From the instants at which tasks were accepted and done, in any order."""
        at_s = np.concatenate([accepted_s, done_s])
        steps = np.repeat([1, -1], [len(accepted_s), len(done_s)])
        order = np.argsort(at_s, kind="stable")
        return cls(at_s[order], np.cumsum(steps[order]))

    @classmethod
    def of(cls, run: Run) -> Backlog:
        """Of a run's tasks, in seconds from the start of its trial."""
        accepted_s, done_s = (
            (np.array(run.stamps_ns(what)) - run.trial.start_ns) / 1e9
            for what in ("accepted", "done")
        )
        return cls.between(accepted_s, done_s)

    def at(self, second: float) -> int:
        """The count at that second; 0 before the first."""
        index = int(np.searchsorted(self.at_s, second, side="right")) - 1
        return int(self.count[index]) if index >= 0 else 0

    @property
    def highest(self) -> int:
        """The highest count; 0 where there was nothing."""
        return int(self.count.max(initial=0))

    @property
    def empty_s(self) -> float:
        """When it was empty at last. Raises ValueError where it wasn't."""
        if not len(self.count) or self.count[-1]:
            raise ValueError("this backlog has no end")
        return float(self.at_s[-1])


def picture(arms: Mapping[str, tuple[Trial, Backlog]], predicted: Mapping[str, Backlog]) -> Figure:
    """Above: backlogs over time, predictions in black. Beneath: answers; refused ones hollow."""
    fig = figure(8.5, 5)
    above, below = fig.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    for index, (name, (trial, backlog)) in enumerate(arms.items()):
        colour = COLOURS[index]
        above.step(backlog.at_s, backlog.count, where="post", color=colour, lw=1.5, label=name)
        rows = trial.rows
        for refused in (False, True):
            kept = (rows["status"] != 200) == refused
            took_ms = (rows["done_ns"] - rows["intended_ns"])[kept] / 1e6
            style = {"ms": 3, "mfc": "none" if refused else colour}
            below.plot(trial.at_s("intended")[kept], took_ms, MARKERS[index], color=colour, **style)
    for number, backlog in enumerate(predicted.values()):
        label = "" if number else "predicted"
        above.step(backlog.at_s, backlog.count, where="post", color="black", lw=0.8, label=label)
    above.set_ylabel("tasks accepted, not done", fontsize=9)
    above.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    below.set_yscale("log")
    below.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    below.yaxis.set_major_formatter("{x:g}")
    below.minorticks_off()
    below.set_ylabel("answer after, ms", fontsize=9)
    below.set_xlabel("s from the first request", fontsize=9)
    for axes in (above, below):
        axes.grid(True, lw=0.3, color=GREY)
    return fig


def memory(samples: Samples, backlog: Backlog, payload_bytes: int, start_ns: int) -> Figure:
    """A process's growth in memory over time, and backlog × payload as a black line."""
    fig = figure(8, 3)
    axes = fig.subplots()
    at_s = (samples.at_ns - start_ns) / 1e9
    axes.plot(at_s, samples.anon_mib, ".", ms=3, color=COLOURS[0], label="anonymous memory")
    predicted_mib = backlog.count * payload_bytes / MIB
    axes.step(backlog.at_s, predicted_mib, "k", where="post", lw=0.8, label="backlog × payload")
    axes.set_xlabel("s from the first request", fontsize=9)
    axes.set_ylabel("MiB more than before", fontsize=9)
    axes.legend(fontsize=8, frameon=False)
    axes.grid(True, lw=0.3, color=GREY)
    return fig
