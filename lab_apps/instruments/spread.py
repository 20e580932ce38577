"""One load, several workers: what each of them got, and what its queue did with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lab_apps.instruments.queueing import victim_waits
from lab_apps.instruments.trial import Trial
from lab_apps.instruments.victims import DELAYED_MS, Alone

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Share:
    """One worker's part of a trial with the streams "blocker" and "victim".

    `rho` is the share of time for which its blockers would hold it, `delayed` the share of its
    victims that took 2 ms longer than the null arm's median, `predicted` the same share by
    Lindley's recursion for exactly the instants that this worker was sent.
    """

    requests: int
    rho: float
    victims: int
    delayed: float
    predicted: float


def by_worker(trial: Trial, null: Alone, *, hold_ms: float, seconds: float) -> list[Share]:
    """The share of each worker, the busiest first.

    Workers are told apart by what each connection's worker answered to `Stream.identify`; requests
    on connections opened later are left out, as are workers without victims.
    """
    peers = [
        trial.peers.get((int(row["stream"]), int(row["connection"])), b"") for row in trial.rows
    ]
    at_ms = trial.at_s("intended") * 1e3
    is_victim = trial.rows["stream"] == trial.streams.index("victim")
    response_ms = (trial.rows["done_ns"] - trial.rows["intended_ns"]) / 1e6
    edge_ms = null.floor_ms + DELAYED_MS
    shares = []
    for worker in set(peers) - {b""}:
        its = np.array([peer == worker for peer in peers])
        victim_ms = np.sort(at_ms[its & is_victim])
        blocker_ms = np.sort(at_ms[its & ~is_victim])
        if len(victim_ms):
            waits_ms = victim_waits(victim_ms, blocker_ms, hold_ms, null.own_ms)
            shares.append(
                Share(
                    int(its.sum()),
                    len(blocker_ms) * hold_ms / 1e3 / seconds,
                    len(victim_ms),
                    float(np.mean(response_ms[its & is_victim] > edge_ms)),
                    float(np.mean(null.added_to(waits_ms) > edge_ms)),
                )
            )
    return sorted(shares, key=lambda share: -share.rho)


def frame(shares: Mapping[int, Sequence[Share]]) -> pd.DataFrame:
    """A line for each worker: what it got, the share delayed as measured and as predicted."""
    import pandas as pd

    lines = [
        {
            "workers": workers,
            "requests": share.requests,
            "ρ": round(share.rho, 2),
            "victims": share.victims,
            "delayed": f"{share.delayed:.0%}",
            "predicted": f"{share.predicted:.0%}",
        }
        for workers, group in shares.items()
        for share in group
    ]
    return pd.DataFrame(lines).set_index("workers")
