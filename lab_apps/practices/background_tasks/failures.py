"""What becomes of a task when it fails, when the handler does, and when the response has its own.

Every task notes what it does in the ledger under its request's number, with "a" for the first of
two and "b" for the second.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import Any, Literal

from fastapi import APIRouter, BackgroundTasks, HTTPException
from fastapi.responses import JSONResponse
from starlette.background import BackgroundTask

from lab_apps.practices.background_tasks.groups import Group, guarded
from lab_apps.practices.background_tasks.ledger import note
from lab_apps.practices.background_tasks.tasks import Task
from lab_apps.practices.background_tasks.ways import ACCEPTED
from lab_apps.practices.background_tasks.work import awaiting

router = APIRouter()

Way = Literal["background", "naive", "group", "guarded"]
WORK_S = 0.3


async def failing(task: str) -> None:
    """Work that fails."""
    note(task, "begun")
    await asyncio.sleep(WORK_S / 3)
    raise RuntimeError(f"{task} has failed")


async def orphaned(task: str) -> None:
    """Work that awaits a future which nothing but this task refers to, so nothing ends the wait."""
    note(task, "begun")
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        note(task, "ended")


@router.post("/two/{way}", response_model=None)
async def two(way: Way, task: Task, tasks: BackgroundTasks, group: Group) -> dict[str, str]:
    """Two tasks, of which the first fails."""
    start(way, tasks, group, failing, f"{task}a")
    start(way, tasks, group, awaiting, f"{task}b", WORK_S)
    return ACCEPTED


@router.post("/refused/{way}", response_model=None)
async def refused(way: Way, task: Task, tasks: BackgroundTasks, group: Group) -> None:
    """The handler starts a task and then raises."""
    start(way, tasks, group, awaiting, task, WORK_S)
    raise HTTPException(409, "refused after the task was started")


@router.post("/refused-by-return", response_model=None)
async def refused_by_return(task: Task, tasks: BackgroundTasks) -> JSONResponse:
    """The handler adds a task and returns an error instead of raising it."""
    tasks.add_task(awaiting, task, WORK_S)
    return JSONResponse(ACCEPTED, 500)


@router.post("/own-background", response_model=None)
async def own_background(task: Task, tasks: BackgroundTasks) -> JSONResponse:
    """The handler adds a task and returns a response that carries its own."""
    tasks.add_task(awaiting, f"{task}a", WORK_S)
    return JSONResponse(ACCEPTED, background=BackgroundTask(awaiting, f"{task}b", WORK_S))


@router.post("/own-background-added", response_model=None)
async def own_background_added(task: Task, tasks: BackgroundTasks) -> JSONResponse:
    """The remedy: what the response carries is the tasks of the request."""
    tasks.add_task(awaiting, f"{task}a", WORK_S)
    tasks.add_task(awaiting, f"{task}b", WORK_S)
    return JSONResponse(ACCEPTED, background=tasks)


@router.post("/orphan/{way}", response_model=None)
async def orphan(way: Way, task: Task, tasks: BackgroundTasks, group: Group) -> dict[str, str]:
    """A task that awaits what nothing else refers to."""
    start(way, tasks, group, orphaned, task)
    return ACCEPTED


@router.post("/collect", response_model=None)
async def collect() -> dict[str, str]:
    """A garbage collection, as it comes by itself sooner or later."""
    gc.collect()
    return ACCEPTED


def start(
    way: Way,
    tasks: BackgroundTasks,
    group: asyncio.TaskGroup,
    work: Callable[..., Coroutine[Any, Any, None]],
    *args: Any,
) -> None:
    """Start that work in that way."""
    if way == "background":
        tasks.add_task(work, *args)
    elif way == "naive":
        asyncio.create_task(work(*args))  # noqa: RUF006
    elif way == "group":
        group.create_task(work(*args))
    else:
        group.create_task(guarded(work(*args)))
