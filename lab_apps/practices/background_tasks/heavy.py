"""A task that computes: in a thread, which shares the GIL with the event loop, or in a process.

Runs alone: `uvicorn lab_apps.practices.background_tasks.heavy:app`, then `curl -X POST
'127.0.0.1:8000/heavy/thread?seconds=5'` and meanwhile `curl -w '%{time_total}' :8000/victim`.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor

from fastapi import APIRouter, BackgroundTasks, FastAPI, Request

from lab_apps.practices.background_tasks import victims
from lab_apps.practices.background_tasks.in_pool import begin
from lab_apps.practices.background_tasks.tasks import Task
from lab_apps.practices.background_tasks.ways import ACCEPTED
from lab_apps.practices.background_tasks.work import computing

PROCESSES = 1

router = APIRouter(prefix="/heavy")


@router.post("/thread", response_model=None)
async def thread(task: Task, tasks: BackgroundTasks, seconds: float = 1) -> dict[str, str]:
    """`def` work as a task: in a thread of the pool."""
    tasks.add_task(computing, task, seconds)
    return ACCEPTED


async def apart(pool: ProcessPoolExecutor, task: str, seconds: float) -> None:
    """The same work in a process of the pool: awaited, with a GIL of its own."""
    await asyncio.get_running_loop().run_in_executor(pool, computing, task, seconds)


@router.post("/process", response_model=None)
async def process(
    request: Request, task: Task, tasks: BackgroundTasks, seconds: float = 1
) -> dict[str, str]:
    """Work in a process as a task."""
    tasks.add_task(apart, request.app.state.processes, task, seconds)
    return ACCEPTED


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """A pool of processes, started by `spawn` with the first work: threads must not fork."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, mp_context=spawn, initializer=begin) as processes:
        app.state.processes = processes
        yield


def create_app() -> FastAPI:
    """A new app with a pool of its own."""
    made = FastAPI(title="Practice 7: tasks that compute", lifespan=lifespan)
    made.include_router(router)
    made.include_router(victims.router)
    return made


app = create_app()
