"""The app's connections to Postgres, and its tables."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Annotated

import psycopg
from fastapi import Depends, FastAPI, Request
from psycopg_pool import AsyncConnectionPool

VARIABLE = "LAB_DATABASE_URL"
CONNECTIONS = 20
# Not prepared, because the preparing of a statement, the sixth time it is used, is a round trip.
SETTINGS = {"prepare_threshold": None}

# The lock, because CREATE TABLE IF NOT EXISTS fails where two processes come to it together.
TABLES = """
SELECT pg_advisory_xact_lock(3);
CREATE TABLE IF NOT EXISTS posts (id uuid PRIMARY KEY, title text NOT NULL);
CREATE TABLE IF NOT EXISTS reviews (post_id uuid NOT NULL REFERENCES posts, stars int NOT NULL);
CREATE TABLE IF NOT EXISTS loose_users (email text NOT NULL);
CREATE TABLE IF NOT EXISTS users (email text NOT NULL UNIQUE);
"""


def lifespan_of(
    url: str | None, autocommit: bool
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """A lifespan that makes the tables and keeps a pool of connections in `app.state.pool`.

    It raises RuntimeError where there is neither a `url` nor the variable, and psycopg.Error where
    the database can't be reached.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        address = url or os.environ.get(VARIABLE)
        if not address:
            raise RuntimeError(
                f"{VARIABLE} is not set: set it to the address of a Postgres, such as"
                " postgresql:///lab03"
            )
        async with await psycopg.AsyncConnection.connect(address) as connection:
            await connection.execute(TABLES)
        kwargs = SETTINGS | {"autocommit": autocommit}
        pool = AsyncConnectionPool(address, min_size=CONNECTIONS, open=False, kwargs=kwargs)
        async with pool:
            await pool.wait()
            app.state.pool = pool
            yield

    return lifespan


async def pool_of(request: Request) -> AsyncConnectionPool:
    """A dependency: the app's pool. In autocommit a statement is a transaction of its own."""
    pool: AsyncConnectionPool = request.app.state.pool
    return pool


Pool = Annotated[AsyncConnectionPool, Depends(pool_of)]
