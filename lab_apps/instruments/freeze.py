"""A server that stands still for a while: what an open and a closed loop make of it.

*Coordinated omission* (G. Tene, "How NOT to Measure Latency", 2013): a client that waits for an
answer before it sends again sends least while the server is slowest, and its percentiles leave out
the requests that it would have sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from matplotlib.figure import Figure

from lab_apps.instruments.load import send
from lab_apps.instruments.plots import COLOURS, GREY, MARKERS, figure
from lab_apps.instruments.schedule import Schedule, closed, paced
from lab_apps.instruments.server import Server
from lab_apps.instruments.trial import Trial, percentile_ms, shown_ms
from lab_apps.instruments.victims import Route

PERCENTILES = (90.0, 95.0, 99.0)
BEFORE = 0.2  # share of the run that is over when the server freezes


@dataclass(frozen=True)
class Frozen:
    """A run of `seconds` in which the server stood still for `freeze_s`, with an open loop's trial
    and a closed loop's, and `rho`, the share of the loop's time that the open load takes.
    `no_core_s` is how long server and client were ready to run in the open loop and had no core."""

    open: Trial
    closed: Trial
    seconds: float
    freeze_s: float
    rho: float
    no_core_s: float

    def predicted_ms(self, percentile: float) -> float:
        """See `response_s`."""
        q = percentile / 100
        return 1e3 * response_s(q, freeze_s=self.freeze_s, seconds=self.seconds, rho=self.rho)


def response_s(q: float, *, freeze_s: float, seconds: float, rho: float) -> float:
    """The q-quantile (0..1) of the response in an open loop of D seconds that freezes for S.

    S - (1 - q)(1 - ρ)D, and 0 where that is less: requests due while the server stands still wait
    for what is left of S, and then for those before them, served in 1 - ρ of the time. So waits
    fall evenly from S to 0 over S / (1 - ρ) of the D seconds. No parameter is fitted, and what a
    request takes by itself is left out.
    """
    return max(0.0, freeze_s - (1 - q) * (1 - rho) * seconds)


def freeze(
    server: Server,
    victim: Route,
    freezer: Route,
    *,
    rate: float,
    seconds: float,
    freeze_s: float,
    users: int = 10,
) -> Frozen:
    """Send `rate` requests a second to `victim`, then the same for `users` in a closed loop.

    In both one request to `freezer`, which must hold the event loop for `freeze_s`, is due when a
    fifth of the time is over. `rho` is `rate` over the rate at which the busy server answers, which
    is the closed loop's while it is not frozen.
    """
    waiting = round(1.5 * rate * freeze_s)  # each on a connection that is open already

    def run(schedule: Schedule) -> Trial:
        once = freezer.stream("freezer", paced(1, 1, start_s=BEFORE * seconds))
        crowd = replace(victim.stream("victim", schedule), connections=waiting)
        return send(server.url, crowd, once)

    before_s = server.run_queue_wait_s() or 0.0
    open_loop = run(paced(rate, seconds)).stream("victim")
    no_core_s = (server.run_queue_wait_s() or 0.0) - before_s + open_loop.client_wait_s
    closed_loop = run(closed(users, seconds=seconds)).stream("victim")
    busy_rate = len(closed_loop.rows) / (seconds - freeze_s)
    return Frozen(open_loop, closed_loop, seconds, freeze_s, rate / busy_rate, no_core_s)


def picture(frozen: Frozen) -> Figure:
    """Each request as a dot, for a closed and an open loop; percentiles beside the formula."""
    fig = figure(9, 4)
    closed_axes, open_axes, summary = fig.subplots(1, 3, width_ratios=[2, 2, 1.6])
    trials: Mapping[str, Trial] = {"closed loop": frozen.closed, "open loop": frozen.open}
    for index, (axes, (label, trial)) in enumerate(
        zip((closed_axes, open_axes), trials.items(), strict=True)
    ):
        axes.plot(trial.at_s("intended"), trial.response_ms, ".", ms=2.5, color=COLOURS[index])
        begun_s = BEFORE * frozen.seconds
        axes.axvspan(begun_s, begun_s + frozen.freeze_s, color=GREY, alpha=0.2, lw=0)
        axes.set_ylim(-0.03e3 * frozen.freeze_s, 1.1e3 * frozen.freeze_s)
        axes.set_title(f"{label}: {len(trial.rows):,} requests", fontsize=9, color=COLOURS[index])
        axes.set_xlabel("due after, s (grey: frozen)", fontsize=9)
    closed_axes.set_ylabel("response, ms", fontsize=9)
    names = [f"p{q:g}" for q in PERCENTILES]
    for index, (label, trial) in enumerate(trials.items()):
        values = [shown_ms(trial.response_ms, q) for q in PERCENTILES]
        summary.plot(names, values, MARKERS[index], color=COLOURS[index], label=label, ms=7)
    expected = [frozen.predicted_ms(q) for q in PERCENTILES]
    summary.plot(names, expected, "_", color="black", ms=18, label="S − (1 − q)(1 − ρ)D")
    summary.set_yscale("log")
    summary.yaxis.set_major_formatter("{x:g}")
    summary.margins(x=0.25)
    summary.legend(fontsize=7.5, frameon=False, loc="center right")
    summary.set_title("percentiles, ms", fontsize=9)
    return fig


def deviations(frozen: Frozen) -> dict[float, float]:
    """How far the open loop's p90, p95 and p99 are from the formula, by percentile.

    In units of what is allowed: 5% of the formula's value or 20 ms, whichever is more.
    """
    found = {}
    for q in PERCENTILES:
        expected_ms = frozen.predicted_ms(q)
        off_ms = abs(percentile_ms(frozen.open.response_ms, q) - expected_ms)
        found[q] = off_ms / max(0.05 * expected_ms, 20)
    return found
