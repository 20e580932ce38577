"""The work that goes on beside a request, in four kinds. Each notes its beginning and its end."""

from __future__ import annotations

import asyncio
import time

from lab_apps.practices.background_tasks.ledger import note


def blocking(task: str, seconds: float) -> None:
    """Blocking work that says so: `def`. Goes to a thread of the pool."""
    note(task, "begun")
    time.sleep(seconds)
    note(task, "done")


async def mislabelled(task: str, seconds: float) -> None:
    """Blocking work that says `async`: holds the event loop."""
    note(task, "begun")
    time.sleep(seconds)
    note(task, "done")


async def awaiting(task: str, seconds: float) -> None:
    """Work that awaits."""
    note(task, "begun")
    await asyncio.sleep(seconds)
    note(task, "done")


def computing(task: str, seconds: float) -> None:
    """Work that computes, in a thread: for so many seconds of CPU time."""
    note(task, "begun")
    compute(seconds)
    note(task, "done")


def compute(seconds: float) -> int:
    """Compute for so many seconds of this thread's CPU time, holding the GIL; return the rounds."""
    rounds, until_s = 0, time.thread_time() + seconds
    while time.thread_time() < until_s:
        sum(range(1000))
        rounds += 1
    return rounds
