"""What comes first, the answer or the work: it depends on one `await`, and on the answer's size."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Query, Response

from lab_apps.practices.background_tasks.tasks import Task
from lab_apps.practices.background_tasks.ways import ACCEPTED
from lab_apps.practices.background_tasks.work import mislabelled

router = APIRouter(prefix="/starts")


@router.post("/naive", response_model=None)
async def naive(task: Task, seconds: float = 1) -> dict[str, str]:
    """`create_task` as the last thing that the route does: the answer is sent first."""
    asyncio.create_task(mislabelled(task, seconds))  # noqa: RUF006
    return ACCEPTED


@router.post("/naive-then-await", response_model=None)
async def naive_then_await(task: Task, seconds: float = 1) -> dict[str, str]:
    """One `await` after it, for a log entry say: the task begins there, before the answer."""
    asyncio.create_task(mislabelled(task, seconds))  # noqa: RUF006
    await asyncio.sleep(0)
    return ACCEPTED


@router.post("/background-then-await", response_model=None)
async def background_then_await(
    task: Task, tasks: BackgroundTasks, seconds: float = 1
) -> dict[str, str]:
    """The same `await` after `add_task`, which only notes what is to be done."""
    tasks.add_task(mislabelled, task, seconds)
    await asyncio.sleep(0)
    return ACCEPTED


@router.post("/large")
async def large(
    task: Task,
    tasks: BackgroundTasks,
    kib: Annotated[int, Query(ge=1, le=64 * 1024)] = 1,
    seconds: float = 1,
) -> Response:
    """An answer of so many KiB and a task that holds the event loop."""
    tasks.add_task(mislabelled, task, seconds)
    return Response(bytes(kib * 1024))
