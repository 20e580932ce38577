"""The pool of connections to Postgres, and a request's transaction."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Annotated, Any, LiteralString, TypeAlias, TypeVar

from fastapi import Depends, Request
from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg_pool import AsyncConnectionPool

CONNECTIONS = 4
# The lock, because CREATE TABLE IF NOT EXISTS fails where two processes come to it together.
LOCK = "SELECT pg_advisory_xact_lock(1)"

T = TypeVar("T")
Connection: TypeAlias = AsyncConnection[Any]


@contextlib.asynccontextmanager
async def opened(url: str, *tables: LiteralString) -> AsyncIterator[AsyncConnectionPool]:
    """Make the tables, in this order, and keep a pool open while the block runs."""
    async with await AsyncConnection.connect(url) as connection:
        for statement in (LOCK, *tables):
            await connection.execute(statement)
    async with AsyncConnectionPool(url, min_size=CONNECTIONS, open=False) as pool:
        await pool.wait()
        yield pool


async def transaction(request: Request) -> AsyncIterator[Connection]:
    """A dependency: a connection in a transaction, undone where the route raises."""
    pool: AsyncConnectionPool = request.app.state.pool
    async with pool.connection() as connection:
        yield connection


# Left when the route has returned: what the client is told of has been committed.
Database = Annotated[Connection, Depends(transaction, scope="function")]


async def rows(db: Connection, kind: type[T], sql: LiteralString, *values: object) -> list[T]:
    """The rows of the statement's answer, each a `kind`."""
    async with db.cursor(row_factory=class_row(kind)) as cursor:
        await cursor.execute(sql, values)
        return await cursor.fetchall()
