"""How long a call lasts by itself, with no server and no load."""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

from lab_apps.instruments.child import Child


def lasts_ms(
    work: Callable[..., Any], *args: Any, calls: int = 50, collector: bool = True
) -> float:
    """Median duration of `calls` calls of `work(*args)`, in ms, after one that is discarded.

    The median, since one call in a process with other threads may wait for the GIL or for a core.
    With `collector=False` Python's garbage collector rests meanwhile.
    """
    durations_ns = []
    with contextlib.nullcontext() if collector else _no_collector():
        work(*args)
        for _ in range(calls):
            begun_ns = time.perf_counter_ns()
            work(*args)
            durations_ns.append(time.perf_counter_ns() - begun_ns)
    return median(durations_ns) / 1e6


@contextlib.contextmanager
def apart() -> Iterator[Callable[..., float]]:
    """Yield `lasts_ms` as it is in a process of its own, for the length of the block.

    A garbage collection goes through all that a process holds, so the same work takes longer in a
    notebook's kernel. The process holds what `work`'s module imports. `work` must be a module's
    function, its arguments such that they can be pickled.
    """
    child = Child(f"{__name__}:_timed")
    try:
        yield lambda work, *args, **options: child.call(work, args, options)
    finally:
        child.close()


def _timed(work: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> float:
    return lasts_ms(work, *args, **options)


@contextlib.contextmanager
def _no_collector() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
