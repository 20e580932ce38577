"""Pictures of a bystander: who waits behind whom, and the utilisation law."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from lab_apps.instruments.eventloop import Readings
from lab_apps.instruments.plots import COLOURS, GREY, MARKERS, figure, log_axes
from lab_apps.instruments.queueing import long_run_waits
from lab_apps.instruments.trial import Trial, shown_ms
from lab_apps.instruments.victims import DELAYED_MS, Alone, Beside


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
        bars.set_title(label, fontsize=10, color=COLOURS[column])
        seen = readings.since(trial.start_ns, trial.seconds)
        delay.plot(
            (seen.at_ns - trial.start_ns) / 1e6, seen.delay_ms, ".-", color=COLOURS[column], ms=3
        )
        delay.set_xlabel("ms since the start", fontsize=9)
        bars.legend(fontsize=8, loc="lower left", frameon=False)
    axes[0][0].invert_yaxis()  # all share it
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

    `measured` maps a label to its points; the first is the variant that blocks. A percentile with
    too few values beyond it is left out. Lines are the queue
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
                [shown_ms(point.victim_ms, percentile) for point in points],
                MARKERS[series],
                color=colour,
                mfc=colour if series == 0 else "none",
                ms=6 if series == 0 else 5,
                label=f"p{percentile:g}" if series == 0 else None,
            )
        exact = [np.percentile(point.predicted_ms, percentile) for point in blocking]
        left.plot([point.rho for point in blocking], exact, "x", color="black", ms=4)
    log_axes(left)
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
    log_axes(right)
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
    for rho in np.geomspace(0.003, 0.93, 24):
        waits_ms = long_run_waits(rho, hold_ms, victim_rate / 1e3, null.own_ms)
        if len(waits_ms):
            rhos.append(float(rho))
            predicted.append(null.added_to(waits_ms))
    return rhos, predicted
