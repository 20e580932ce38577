"""An app of its own, on a database: its tasks are jobs for the workers of `jobs`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI

from lab_apps.practices.background_tasks.jobs import deliver, deliver_again, queue
from lab_apps.practices.background_tasks.tasks import Task
from lab_apps.practices.background_tasks.ways import ACCEPTED


@contextlib.asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Hold the queue's connections."""
    async with queue.open_async():
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/queue", response_model=None)
async def enqueue(task: Task, seconds: float = 1, then_s: float = 0) -> dict[str, str]:
    """Answered once the job is committed."""
    await deliver.defer_async(task=task, seconds=seconds, then_s=then_s)
    return ACCEPTED


@app.post("/queue-again", response_model=None)
async def enqueue_again(task: Task, seconds: float = 1, then_s: float = 0) -> dict[str, str]:
    """The same for the job that is tried once more."""
    await deliver_again.defer_async(task=task, seconds=seconds, then_s=then_s)
    return ACCEPTED
