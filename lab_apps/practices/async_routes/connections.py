"""Connections to Postgres: a pool for each driver, from the app's start to its end."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from psycopg_pool import AsyncConnectionPool, ConnectionPool

CONNECTIONS = 10
TIMEOUT_S = 1.0  # to wait for a connection; by default psycopg_pool and SQLAlchemy wait for 30


@contextlib.asynccontextmanager
async def pools(
    app: FastAPI, url: str | None, sizes: tuple[int, int], timeout_s: float
) -> AsyncIterator[None]:
    """Open `app.state.pool` and `app.state.async_pool` with so many connections to `url`.

    `url` is LAB_DATABASE_URL by default; raises RuntimeError where that isn't set either. Who waits
    for a connection for more than `timeout_s` gets a PoolTimeout.
    """
    url = url or os.environ.get("LAB_DATABASE_URL")
    if not url:
        raise RuntimeError("no database: set LAB_DATABASE_URL=postgresql://user@host/name")
    n, of_async = sizes
    async with AsyncConnectionPool(
        url,
        min_size=of_async,
        max_size=of_async,
        num_workers=of_async,
        timeout=timeout_s,
        open=False,
    ) as async_pool:
        with ConnectionPool(
            url, min_size=n, max_size=n, num_workers=n, timeout=timeout_s, open=False
        ) as pool:
            await async_pool.wait()
            pool.wait()
            app.state.pool, app.state.async_pool = pool, async_pool
            yield


async def get_pool(request: Request) -> ConnectionPool:
    """The pool of the blocking driver. A `def` would take a thread to say so."""
    pool: ConnectionPool = request.app.state.pool
    return pool


async def get_async_pool(request: Request) -> AsyncConnectionPool:
    """The pool of the async driver."""
    pool: AsyncConnectionPool = request.app.state.async_pool
    return pool


Pool = Annotated[ConnectionPool, Depends(get_pool)]
AsyncPool = Annotated[AsyncConnectionPool, Depends(get_async_pool)]


async def refuse(_: Request, error: Exception) -> JSONResponse:
    """503 for who has waited for a connection in vain. A `def` would take a thread here too."""
    return JSONResponse({"detail": f"no connection: {error}"}, 503)
