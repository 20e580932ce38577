"""How long a `yield` dependency is held when its request adds a task: a database session.

Runs alone, on any database, in which it makes nothing: `LAB_DATABASE_URL=postgresql:///postgres
uvicorn lab_apps.practices.background_tasks.sessions:app`, then `curl -X POST
'127.0.0.1:8000/sessions/background?seconds=5'`, and meanwhile `SELECT state, count(*) FROM
pg_stat_activity GROUP BY state`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, Request
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from lab_apps.practices.background_tasks import victims
from lab_apps.practices.background_tasks.groups import Group, task_groups
from lab_apps.practices.background_tasks.ledger import note
from lab_apps.practices.background_tasks.tasks import Task
from lab_apps.practices.background_tasks.ways import ACCEPTED
from lab_apps.practices.background_tasks.work import awaiting

VARIABLE = "LAB_DATABASE_URL"
CONNECTIONS, TIMEOUT_S = 10, 30.0

router = APIRouter(prefix="/sessions")


async def pool_of(request: Request) -> AsyncConnectionPool:
    """A dependency: the app's pool."""
    pool: AsyncConnectionPool = request.app.state.pool
    return pool


Pool = Annotated[AsyncConnectionPool, Depends(pool_of)]


async def session(pool: Pool) -> AsyncIterator[AsyncConnection[Any]]:
    """A dependency: a connection in a transaction, for as long as the request takes."""
    async with pool.connection() as connection:
        await connection.execute("SELECT 1")  # the user, say
        yield connection


Session = Annotated[AsyncConnection[Any], Depends(session)]
ShortSession = Annotated[AsyncConnection[Any], Depends(session, scope="function")]


async def storing(task: str, seconds: float, pool: AsyncConnectionPool) -> None:
    """Work that awaits, then takes a connection of its own to store what came of it."""
    note(task, "begun")
    await asyncio.sleep(seconds)
    try:
        async with pool.connection() as connection:
            await connection.execute("SELECT 2")
    except PoolTimeout:
        note(task, "no connection")
        return
    note(task, "done")


@router.post("/background", response_model=None)
async def background(
    _: Session, task: Task, tasks: BackgroundTasks, seconds: float = 1
) -> dict[str, str]:
    """The request is over for its dependencies when its task is."""
    tasks.add_task(awaiting, task, seconds)
    return ACCEPTED


@router.post("/naive", response_model=None)
async def naive(_: Session, task: Task, seconds: float = 1) -> dict[str, str]:
    """The request knows nothing of the task."""
    asyncio.create_task(awaiting(task, seconds))  # noqa: RUF006
    return ACCEPTED


@router.post("/group", response_model=None)
async def group(
    _: Session,
    task: Task,
    tasks: Group,
    seconds: float = 1,
) -> dict[str, str]:
    """Nor of that of a group."""
    tasks.create_task(awaiting(task, seconds))
    return ACCEPTED


@router.post("/function-scope", response_model=None)
async def function_scope(
    _: ShortSession, task: Task, tasks: BackgroundTasks, seconds: float = 1
) -> dict[str, str]:
    """The dependency ends with the route's function, before the answer and the task."""
    tasks.add_task(awaiting, task, seconds)
    return ACCEPTED


@router.post("/own-session", response_model=None)
async def own_session(
    _: Session, task: Task, tasks: BackgroundTasks, pool: Pool, seconds: float = 1
) -> dict[str, str]:
    """The task takes a session of its own, while the request's is still held: two for one."""
    tasks.add_task(storing, task, seconds, pool)
    return ACCEPTED


@router.post("/own-session-function-scope", response_model=None)
async def own_session_function_scope(
    _: ShortSession, task: Task, tasks: BackgroundTasks, pool: Pool, seconds: float = 1
) -> dict[str, str]:
    """The task takes a session of its own, once the request's is given back: one at a time."""
    tasks.add_task(storing, task, seconds, pool)
    return ACCEPTED


def create_app(
    url: str | None = None, *, connections: int = CONNECTIONS, timeout_s: float = TIMEOUT_S
) -> FastAPI:
    """The app with a pool of so many connections to `url`, by default to LAB_DATABASE_URL.

    Who waits for a connection for more than `timeout_s` gets none. Starting raises RuntimeError
    where there is neither a `url` nor the variable.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        address = url or os.environ.get(VARIABLE)
        if not address:
            raise RuntimeError(f"{VARIABLE} is not set, to the address of a Postgres")
        pool = AsyncConnectionPool(address, min_size=connections, timeout=timeout_s, open=False)
        async with pool, task_groups(app):  # the group's tasks end before the pool does
            await pool.wait()
            app.state.pool = pool
            yield

    app = FastAPI(title="Practice 7: sessions and tasks", lifespan=lifespan)
    app.include_router(router)
    app.include_router(victims.router)
    return app


app = create_app()
