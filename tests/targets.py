"""What the tests let child processes run; imported there by name, with `tests` on the path."""

from __future__ import annotations

import gc
import os
import threading
import time
import tracemalloc

from lab_apps.instruments import memory


class OwnError(Exception):
    """An exception that the parent knows by its type."""


def echo(*args: object) -> object:
    """What was said."""
    return args


def fail(text: str) -> None:
    """Raise `OwnError`."""
    raise OwnError(text)


def die(status: int) -> None:
    """End this process without an answer."""
    os._exit(status)


def unpicklable() -> object:
    """What can't be sent."""
    return threading.Lock()


def sleep_and_say(seconds: float) -> int:
    """Sleep, then return this process's id."""
    time.sleep(seconds)
    return os.getpid()


def note(file: str) -> None:
    """Append this process's id and whether its garbage collector is on."""
    with open(file, "a") as notes:  # noqa: PTH123
        notes.write(f"{os.getpid()} {gc.isenabled()}\n")


def second_pass_mib(mib: int) -> float:
    """What a pass by the high-water mark sees of so much, begun in place of one that traces."""
    memory.begin("traced")
    memory.begin("high water")
    assert not tracemalloc.is_tracing()
    held = b"x" * (mib * memory.MIB)
    seen_mib = memory.peak_mib()
    del held
    return seen_mib
