"""What the tests of microtiming let it time; imported in its processes by name."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from itertools import repeat
from pathlib import Path


def counting(times: int) -> Callable[[], None]:
    """Work in proportion to `times`."""

    def work() -> None:
        for _ in repeat(None, times):  # range would make integers, from 257 on
            pass

    return work


def sleeping(seconds: float) -> Callable[[], None]:
    """Work that lasts so long."""
    return lambda: time.sleep(seconds)


def noting(file: str, name: str) -> Callable[[], None]:
    """Note the process's id and that this arm was prepared; its work takes a burst by itself."""
    with Path(file).open("a") as notes:
        notes.write(f"{os.getpid()} {name}\n")
    return sleeping(0.003)


def failing(text: str) -> Callable[[], None]:
    """Preparing that can't be done."""
    raise LookupError(text)
