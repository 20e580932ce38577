"""Work that goes on beside the request: three ways to start it, four kinds of it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, Literal

from fastapi import APIRouter, BackgroundTasks
from fastapi.concurrency import run_in_threadpool

from lab_apps.practices.background_tasks.groups import Group
from lab_apps.practices.background_tasks.tasks import Task
from lab_apps.practices.background_tasks.work import awaiting, blocking, computing, mislabelled

router = APIRouter()

Kind = Literal["blocking", "mislabelled", "awaiting", "computing"]
WORK: dict[str, Callable[..., Any]] = {
    "blocking": blocking,
    "mislabelled": mislabelled,
    "awaiting": awaiting,
    "computing": computing,
}
ACCEPTED = {"status": "accepted"}


@router.post("/background/{kind}", response_model=None)
async def background(
    kind: Kind, task: Task, tasks: BackgroundTasks, seconds: float = 1
) -> dict[str, str]:
    """FastAPI's way: `def` goes to a thread, `async` is awaited, both once the response is sent."""
    tasks.add_task(WORK[kind], task, seconds)
    return ACCEPTED


@router.post("/naive/{kind}", response_model=None)
async def naive(kind: Kind, task: Task, seconds: float = 1) -> dict[str, str]:
    """A task that nobody holds on to."""
    asyncio.create_task(coroutine(kind, task, seconds))  # noqa: RUF006
    return ACCEPTED


@router.post("/group/{kind}", response_model=None)
async def group(
    kind: Kind,
    task: Task,
    tasks: Group,
    seconds: float = 1,
) -> dict[str, str]:
    """A task of the lifespan's group."""
    tasks.create_task(coroutine(kind, task, seconds))
    return ACCEPTED


def coroutine(kind: Kind, task: str, seconds: float) -> Coroutine[Any, Any, Any]:
    """The work as a coroutine: what is `def` goes to a thread, as BackgroundTasks does it."""
    work = WORK[kind]
    made: Coroutine[Any, Any, Any] = (
        work(task, seconds)
        if inspect.iscoroutinefunction(work)
        else run_in_threadpool(work, task, seconds)
    )
    return made
