"""Which form to write: what each one costs, for a kind of work and a rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from matplotlib.figure import Figure

from lab_apps.instruments.load import send
from lab_apps.instruments.plots import COLOURS, GREY, MARKERS, figure, log_axes
from lab_apps.instruments.schedule import poisson
from lab_apps.instruments.server import Server
from lab_apps.instruments.trial import Trial, percentile_ms
from lab_apps.instruments.victims import Route

if TYPE_CHECKING:
    import pandas as pd

VICTIM_RATE = 1000.0  # so that a p95 has ten values beyond it after a quarter of a second
TIE, TIE_MS = 1.5, 1.0  # forms whose costs differ by less than either are said to be equal
FORMS = ("async, inline", "def", "async, await", "process pool")
FLOOR_MS = 0.1  # costs are drawn from here on


@dataclass(frozen=True)
class Cost:
    """What a form costs at a rate of calls per second: `added_ms` to the p95 of all requests.

    Calls and another route's requests count alike, so it doesn't matter on whom a form lays its
    cost. Of a call's response the work itself is subtracted.
    """

    rate: float
    added_ms: float
    trial: Trial


Panel: TypeAlias = Mapping[str, Sequence[Cost]]  # by form


def cost(trial: Trial, rate: float, work_ms: float) -> Cost:
    """The cost seen in a trial with the streams "blocker" (the calls) and "victim"."""
    calls_ms = trial.stream("blocker").response_ms - work_ms
    everybody_ms = np.concatenate([calls_ms, trial.stream("victim").response_ms])
    return Cost(rate, percentile_ms(everybody_ms, 95), trial)


def measure(
    server: Server,
    call: Route,
    victim: Route,
    *,
    rate: float,
    work_ms: float,
    seconds: float,
    seed: int,
) -> Cost:
    """Send calls at `rate` and victims at 1,000 a second, both Poisson, and return the cost."""
    calls = call.stream("blocker", poisson(rate, seconds, seed=2 * seed))
    others = victim.stream("victim", poisson(VICTIM_RATE, seconds, seed=2 * seed + 1))
    return cost(send(server.url, calls, others), rate, work_ms)


def best(panel: Panel, rate: float) -> tuple[list[str], str, float]:
    """At that rate: the cheapest forms, the dearest, and how many times more it costs.

    Forms within a factor of 1.5 of the cheapest, or within 1 ms, count as equally cheap.
    """
    added_ms = {
        form: max(point.added_ms, FLOOR_MS)
        for form, points in panel.items()
        for point in points
        if point.rate == rate
    }
    least, dearest = min(added_ms.values()), max(added_ms, key=lambda form: added_ms[form])
    cheap = [form for form, ms in added_ms.items() if ms <= max(TIE * least, least + TIE_MS)]
    return cheap, dearest, added_ms[dearest] / least


def worst(panel: Panel) -> float:
    """How many times more the dearest form costs than the cheapest, at its worst rate.

    1 where at every rate the forms count as equally cheap.
    """
    prices = [1.0]
    for rate in _rates(panel):
        cheap, dearest, factor = best(panel, rate)
        if dearest not in cheap:
            prices.append(factor)
    return max(prices)


def _rates(panel: Panel) -> list[float]:
    """Every rate at which a form was measured, in order."""
    return sorted({point.rate for points in panel.values() for point in points})


def picture(panels: Mapping[str, Panel]) -> Figure:
    """A panel for each kind of work: cost against rate, a line for each form.

    Beneath each rate the cheapest form, above the dearest how many times more it costs.
    """
    fig = figure(11, 4.4)
    axes = fig.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for plot, (kind, panel) in zip(axes, panels.items(), strict=True):
        for form, points in panel.items():
            index = FORMS.index(form)
            ms = [max(point.added_ms, FLOOR_MS) for point in points]
            rates = [point.rate for point in points]
            plot.plot(rates, ms, "-", color=COLOURS[index], marker=MARKERS[index], ms=5, lw=1)
        log_axes(plot)
        rates = _rates(panel)
        for rate in rates:
            cheap, dearest, factor = best(panel, rate)
            if len(cheap) < len(panel):
                top = next(point.added_ms for point in panel[dearest] if point.rate == rate)
                note = f"×{factor:.0f}" if factor >= 10 else f"×{factor:.1f}"
                where = {"xytext": (0, 5), "textcoords": "offset points", "ha": "center"}
                plot.annotate(note, (rate, max(top, FLOOR_MS)), fontsize=8, **where)
            label = "any" if len(cheap) == len(panel) else "\n".join(_short(f) for f in cheap)
            colour = GREY if len(cheap) > 1 else COLOURS[FORMS.index(cheap[0])]
            bottom = {"xycoords": ("data", "axes fraction"), "ha": "center", "va": "bottom"}
            plot.annotate(label, (rate, 0.01), fontsize=7.5, color=colour, **bottom)
        plot.set_xticks(rates, [f"{rate:,.0f}" for rate in rates], fontsize=8)
        plot.set_xlim(rates[0] / 2, rates[-1] * 2)
        plot.set_title(kind, fontsize=9)
        plot.set_xlabel("calls a second", fontsize=9)
    high = axes[0].get_ylim()[1]
    axes[0].set_ylim(FLOOR_MS / 5, high * 2)
    axes[0].set_ylabel("added to the p95 of all requests, ms", fontsize=9)
    for index, form in enumerate(FORMS):
        axes[0].plot([], [], color=COLOURS[index], marker=MARKERS[index], ms=5, label=form)
    axes[0].legend(fontsize=7.5, frameon=False, loc="upper left")
    return fig


def describe(panels: Mapping[str, Panel]) -> str:
    """The picture in words: for each kind of work and rate the cheapest form and the price."""
    said = []
    for kind, panel in panels.items():
        rates = _rates(panel)
        lines = []
        for rate in rates:
            cheap, dearest, factor = best(panel, rate)
            form = "any form" if len(cheap) == len(panel) else " or ".join(cheap)
            price = "" if len(cheap) == len(panel) else f", {dearest} costs {factor:.1f} times more"
            lines.append(f"at {rate:,.0f}/s {form}{price}")
        said.append(f"{kind.replace(chr(10), ' ')}: {'; '.join(lines)}")
    return ". ".join(said) + "."


def _short(form: str) -> str:
    return form.removeprefix("async, ").removesuffix(" pool")


def frame(panels: Mapping[str, Panel]) -> pd.DataFrame:
    """A line for each kind of work and rate: what each form adds in ms, and the cheapest."""
    import pandas as pd

    lines = []
    for kind, panel in panels.items():
        for rate in _rates(panel):
            found: dict[str, object] = {"work": kind.replace("\n", " "), "calls a second": rate}
            for form, points in panel.items():
                (point,) = (point for point in points if point.rate == rate)
                found[form] = f"{point.added_ms:.1f}"
            cheap = best(panel, rate)[0]
            found["write"] = "any" if len(cheap) == len(panel) else " or ".join(cheap)
            lines.append(found)
    table = pd.DataFrame(lines).set_index(["work", "calls a second"])
    return table[[*(form for form in FORMS if form in table), "write"]].fillna("")
