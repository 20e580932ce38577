"""How long to measure: the one place that reads LAB_PROFILE."""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T")

NAMES = ("quick", "full")


def name() -> str:
    """`quick` (the default) or `full`. Raises ValueError for another LAB_PROFILE."""
    chosen = os.environ.get("LAB_PROFILE", "quick")
    if chosen not in NAMES:
        raise ValueError(f"LAB_PROFILE must be quick or full, not {chosen!r}")
    return chosen


def pick(*, quick: T, full: T) -> T:
    """The value for the current profile: longer slices and wider sweeps, never other claims."""
    return full if name() == "full" else quick
