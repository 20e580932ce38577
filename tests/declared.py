"""What the tests of verdicts share: claims of each kind, and rounds to judge them by."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from lab_apps.instruments.claims import Claim, Pair

RATIO = Claim("9.1", "ratio", "A says more than B.", "ms", "A", "B", theta=2.0, why_theta="why")
ALIKE = dataclasses.replace(RATIO, id="9.2", kind="equivalence")
EXACT = Claim("9.3", "exact", "Three.", "count", expected={"count": 3, "where": "loop"})

# A round of ratio 4 lies above θ = 2, one of 1.5 within 1/2 .. 2.


def pairs(*ratios: float) -> list[Pair]:
    return [Pair(ratio, 1.0) for ratio in ratios]


def rounds(ratio: float, count: int = 1000) -> Iterator[Pair]:
    return iter(pairs(*[ratio] * count))
