"""More tasks than threads: who else waits for a thread, what waits, and what says no in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

import anyio
from fastapi import APIRouter, BackgroundTasks, Body, Depends, HTTPException

from lab_apps.practices.background_tasks.ledger import note
from lab_apps.practices.background_tasks.tasks import Task
from lab_apps.practices.background_tasks.ways import ACCEPTED
from lab_apps.practices.background_tasks.work import blocking

router = APIRouter(prefix="/crowd")

TASK_THREADS = anyio.CapacityLimiter(40)
PLACES = asyncio.Semaphore(20)


async def on_task_threads(task: str, seconds: float) -> None:
    """Blocking work on AnyIO's threads, counted by a limiter of the tasks' own."""
    await anyio.to_thread.run_sync(blocking, task, seconds, limiter=TASK_THREADS)


@router.post("/own-limiter", response_model=None)
async def own_limiter(task: Task, tasks: BackgroundTasks, seconds: float = 1) -> dict[str, str]:
    """Tasks that leave the 40 threads of everybody alone."""
    tasks.add_task(on_task_threads, task, seconds)
    return ACCEPTED


def deliver(task: str, seconds: float, payload: bytes) -> None:
    """Blocking work on what the request has sent."""
    blocking(task, seconds)
    note(task, f"delivered {len(payload)}")


@router.post("/payload", response_model=None)
async def payload(
    task: Task,
    tasks: BackgroundTasks,
    body: Annotated[bytes, Body(media_type="application/octet-stream")],
    seconds: float = 1,
) -> dict[str, str]:
    """A task keeps its arguments until it has run."""
    tasks.add_task(deliver, task, seconds, body)
    return ACCEPTED


async def place() -> AsyncIterator[None]:
    """A dependency: one of 20 places, held until the request's tasks are over; or 503 at once."""
    if PLACES.locked():
        raise HTTPException(503, "too much to do", {"Retry-After": "1"})
    async with PLACES:
        yield


@router.post("/bounded", response_model=None, dependencies=[Depends(place)])
async def bounded(task: Task, tasks: BackgroundTasks, seconds: float = 1) -> dict[str, str]:
    """At most 20 tasks are accepted and not done."""
    tasks.add_task(blocking, task, seconds)
    return ACCEPTED
