"""Pictures of races: which of two requests for the same thing came too close to each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.figure import Figure

from lab_apps.instruments.plots import COLOURS, figure
from lab_apps.instruments.trial import Trial

TWICE, ONCE = COLOURS[0], COLOURS[1]
FLOOR_MS = 0.1  # spacings are drawn from here on


@dataclass(frozen=True)
class Pair:
    """Two requests for the same thing, sent so many ms apart, and how many rows came of them.

    Raises ValueError for a pair of which none was stored: it says nothing of the window.
    """

    spacing_ms: float
    rows: int

    def __post_init__(self) -> None:
        """Refuse what is no outcome of a race."""
        if self.rows < 1:
            raise ValueError(
                f"of two requests {self.spacing_ms:g} ms apart {self.rows} were stored: one at"
                " least must be, see how they were answered"
            )


def meant(trial: Trial, *statuses: int) -> Trial:
    """The trial without the errors of answers with one of these statuses, which a race may have.

    What else went wrong stays an error: another status, a body, a connection.
    """
    rows = trial.rows.copy()
    rows["error"][(rows["error"] == "status") & np.isin(rows["status"], statuses)] = ""
    return replace(trial, rows=rows)


def window_ms(pairs: Sequence[Pair]) -> float:
    """The spacing that divides those stored twice, below it, from those stored once, above.

    Where no spacing does, the one with the fewest pairs on the wrong side, and of several such the
    middle one; between two pairs it is halfway. Raises ValueError without pairs.
    """
    if not pairs:
        raise ValueError("no pairs: a window needs some of either kind")
    ordered = sorted(pairs, key=lambda pair: pair.spacing_ms)
    at = np.array([pair.spacing_ms for pair in ordered])
    twice = np.array([pair.rows > 1 for pair in ordered])
    # How many are on the wrong side of a line before the first pair, the second, ... the last.
    wrong = [int((~twice[:cut]).sum() + twice[cut:].sum()) for cut in range(len(at) + 1)]
    between = [0.0, *((at[1:] + at[:-1]) / 2), at[-1]]
    best = [line for line, count in zip(between, wrong, strict=True) if count == min(wrong)]
    return float(best[len(best) // 2])


def share_twice(pairs: Sequence[Pair], from_ms: float, to_ms: float) -> float:
    """Share of the pairs with a spacing in that range that were stored more than once.

    Raises ValueError where there is no such pair.
    """
    within = [pair.rows > 1 for pair in pairs if from_ms <= pair.spacing_ms <= to_ms]
    if not within:
        raise ValueError(f"no pair was sent {from_ms:g} to {to_ms:g} ms apart")
    return sum(within) / len(within)


def lanes(pairs: Mapping[str, Sequence[Pair]], predicted_ms: Mapping[str, float]) -> Figure:
    """A lane for each label, a dot for each pair at its spacing, by what was stored.

    A bar marks the lane's prediction: left of it a pair should be stored twice, right of it once.
    """
    fig = figure(9, 1.2 + 0.6 * len(pairs))
    axes = fig.subplots()
    spread = np.random.default_rng(0)
    for lane, (label, group) in enumerate(pairs.items()):
        for twice in (False, True):
            at = [max(p.spacing_ms, FLOOR_MS) for p in group if (p.rows > 1) == twice]
            heights = lane + (-0.14 if twice else 0.14) + spread.uniform(-0.09, 0.09, len(at))
            marker, colour, face = ("o", TWICE, TWICE) if twice else ("s", ONCE, "none")
            axes.plot(at, heights, marker, ms=4, color=colour, mfc=face)
        if label in predicted_ms:
            line_ms = max(predicted_ms[label], FLOOR_MS)
            axes.plot([line_ms, line_ms], [lane - 0.3, lane + 0.3], color="black", lw=1.5)
            top = (line_ms, lane - 0.3)
            axes.annotate(f"{line_ms:.3g}", top, fontsize=8, ha="center", va="bottom")
    axes.set_yticks(range(len(pairs)), list(pairs), fontsize=9)
    axes.set_ylim(len(pairs) - 0.5, -0.75)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.grid(True, axis="x", lw=0.3, color="#cccccc")
    axes.set_xlabel("time between the two requests, ms", fontsize=9)
    axes.plot([], [], "o", color=TWICE, ms=4, label="both got 201, two rows")
    axes.plot([], [], "s", color=ONCE, ms=4, mfc="none", label="one row")
    axes.plot([], [], "-", color="black", lw=1.5, label="predicted window, ms")
    axes.legend(fontsize=8, frameon=False, loc="lower left")
    return fig
