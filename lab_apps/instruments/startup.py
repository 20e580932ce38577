"""How long an app takes to be there once its packages are: its own imports, and its making."""

from __future__ import annotations

import importlib
import os
import random
import sys
import threading
import time
from collections.abc import Iterator

from lab_apps.instruments import machine
from lab_apps.instruments.claims import Pair
from lab_apps.instruments.notebook import Progress
from lab_apps.instruments.nursery import preload
from lab_apps.instruments.program import Program

MAX_WAIT_SHARE = 0.2
ANSWER = r"made in ([\d.]+) ms, (\d+) modules, ([\d.]+) ms without a core"


def start(target: str) -> tuple[float, int, str]:
    """Start "module:factory" in a new process: ms until its app is made, modules imported, and "".

    The process has imported FastAPI, uvicorn and psycopg before the clock runs, so that what is
    left is the app's own. In place of "" stands what disturbed it: without a core for more than a
    fifth of the time. Raises ChildError where it can't be imported or made.
    """
    with Program(__name__, target) as program:
        took, modules, waited = program.wait_for(ANSWER).groups()
    return float(took), int(modules), disturbance(float(took), float(waited))


def disturbance(took_ms: float, waited_ms: float) -> str:
    """What disturbed a start that took so long and was without a core for so long of it, or ""."""
    if waited_ms <= MAX_WAIT_SHARE * took_ms:
        return ""
    return f"without a core for {waited_ms:.1f} of {took_ms:.1f} ms"


def pairs(a: str, b: str, *, seed: int) -> Iterator[Pair]:
    """Endless pairs for `claims.judge`: ms to start each, in an order that a coin decides."""
    coin = random.Random(seed)
    with Progress("starts") as progress:
        while True:
            both = [a, b]
            coin.shuffle(both)
            seen = {target: start(target) for target in both}
            progress.step()
            yield Pair(seen[a][0], seen[b][0], disturbed=(seen[a][2], seen[b][2]))


def _waited_s() -> float:
    return machine.run_queue_wait_s(os.getpid(), threading.get_native_id()) or 0.0


def _main(target: str) -> None:
    preload()
    module, factory = target.split(":")
    known, waited_s = len(sys.modules), _waited_s()
    begun_ns = time.perf_counter_ns()
    getattr(importlib.import_module(module), factory)()
    took_ms = (time.perf_counter_ns() - begun_ns) / 1e6
    waited_ms = 1e3 * (_waited_s() - waited_s)
    print(
        f"made in {took_ms} ms, {len(sys.modules) - known} modules, {waited_ms} ms without a core"
    )


if __name__ == "__main__":
    _main(sys.argv[1])
