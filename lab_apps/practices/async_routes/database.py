"""A query of known length in three forms, and the app of all routes that need a database.

Runs alone: `LAB_DATABASE_URL=postgresql://user@host/name uvicorn
lab_apps.practices.async_routes.database:app`, then `curl 127.0.0.1:8000/query/def`.
"""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, FastAPI
from psycopg_pool import PoolTimeout

from lab_apps.practices.async_routes import connections, deadlock, pings
from lab_apps.practices.async_routes.connections import AsyncPool, Pool
from lab_apps.practices.async_routes.pings import ran_on

router = APIRouter(prefix="/query")

QUERY = "SELECT pg_sleep(%s)"


@router.get("/blocking", response_model=None)
async def query_blocking(pool: Pool, query_ms: float = 20) -> dict[str, str]:
    """The blocking driver in an `async` route: the event loop waits for Postgres."""
    with pool.connection() as connection:
        connection.execute(QUERY, (query_ms / 1e3,))
    return {"query": "done", "ran_on": ran_on()}


@router.get("/def", response_model=None)
def query_def(pool: Pool, query_ms: float = 20) -> dict[str, str]:
    """The blocking driver in a `def` route: a thread waits."""
    with pool.connection() as connection:
        connection.execute(QUERY, (query_ms / 1e3,))
    return {"query": "done", "ran_on": ran_on()}


@router.get("/await", response_model=None)
async def query_await(pool: AsyncPool, query_ms: float = 20) -> dict[str, str]:
    """The async driver in an `async` route: nothing waits but the request."""
    async with pool.connection() as connection:
        await connection.execute(QUERY, (query_ms / 1e3,))
    return {"query": "done", "ran_on": ran_on()}


def create_app(
    url: str | None = None,
    *,
    size: int = connections.CONNECTIONS,
    async_size: int | None = None,
    timeout_s: float = connections.TIMEOUT_S,
) -> FastAPI:
    """The app with pools of `size` connections to `url`, by default LAB_DATABASE_URL.

    The async driver's pool has `async_size`, by default as many.
    A request that waits for a connection for more than `timeout_s` is answered 503.
    """
    sizes = size, async_size or size
    lifespan = partial(connections.pools, url=url, sizes=sizes, timeout_s=timeout_s)
    app = FastAPI(title="Practice 5: routes with a database", lifespan=lifespan)
    for part in (router, deadlock.router, pings.router):
        app.include_router(part)
    app.add_exception_handler(PoolTimeout, connections.refuse)
    return app


app = create_app()
