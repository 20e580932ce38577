"""What is fixed about the storage."""

from __future__ import annotations

from enum import StrEnum


class ErrorCode(StrEnum):
    """What can go wrong with a stored file."""

    FILE_MISSING = "storage: the file is not there"
