"""What is fixed about notifications."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """What a user is told of."""

    COMMENTED = "commented"
    ATTACHED = "attached"
