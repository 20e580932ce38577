"""Tables, pools of connections, and the ways in which a request takes connections from them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import Annotated, Any, LiteralString, TypeAlias, TypeVar

from fastapi import Depends, FastAPI, Request
from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg_pool import AsyncConnectionPool

T = TypeVar("T")
Connection: TypeAlias = AsyncConnection[Any]
Pool: TypeAlias = AsyncConnectionPool[Connection]

TABLES = """
CREATE TABLE IF NOT EXISTS users (
    id int PRIMARY KEY, is_active bool NOT NULL, is_creator bool NOT NULL
);
CREATE TABLE IF NOT EXISTS posts (
    id int PRIMARY KEY, creator_id int NOT NULL REFERENCES users, title text NOT NULL
);
CREATE TABLE IF NOT EXISTS names (
    name text NOT NULL UNIQUE DEFERRABLE INITIALLY DEFERRED
);
INSERT INTO users VALUES (1, true, true), (2, true, true), (3, false, true), (4, true, false)
    ON CONFLICT DO NOTHING;
INSERT INTO posts VALUES (1, 1, 'one'), (2, 2, 'two'), (3, 3, 'three'), (4, 4, 'four')
    ON CONFLICT DO NOTHING;
"""


class Way(StrEnum):
    """How a request takes its connections."""

    EACH = "each"  # one for each query, as psycopg_pool gives it: in a transaction
    REQUEST = "request"  # one for the whole request, in one transaction
    AUTOCOMMIT = "autocommit"  # one for each query, without a transaction
    CHECKED = "checked"  # the same from a pool that first asks whether the connection works


class Rows:
    """Fetches rows by the connections that it is given."""

    def __init__(self, connection: Callable[[], AbstractAsyncContextManager[Connection]]) -> None:
        self._connection = connection

    async def one(self, kind: type[T], sql: LiteralString, *values: object) -> T | None:
        """The query's first row as a `kind`, or None."""
        async with self._connection() as connection:
            cursor = connection.cursor(row_factory=class_row(kind))
            await cursor.execute(sql, values)
            return await cursor.fetchone()


async def get_rows(way: Way, request: Request) -> AsyncIterator[Rows]:
    """A dependency: what the request's queries go through."""
    pool: Pool = request.app.state.pools[way]
    if way is Way.REQUEST:
        async with pool.connection() as connection:
            yield Rows(lambda: contextlib.nullcontext(connection))
    else:
        yield Rows(pool.connection)


Queries = Annotated[Rows, Depends(get_rows)]


def lifespan(url: str | None) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """A lifespan that makes the tables and opens a pool for each way, in `app.state.pools`.

    It raises RuntimeError where neither `url` nor LAB_DATABASE_URL is set.
    """

    @contextlib.asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        address = url or os.environ.get("LAB_DATABASE_URL")
        if not address:
            raise RuntimeError(
                "no database: set LAB_DATABASE_URL to a Postgres database of its own, such as"
                " postgresql:///lab04 after `createdb lab04`"
            )
        async with await AsyncConnection.connect(address) as connection:
            await connection.execute(TABLES)
        async with contextlib.AsyncExitStack() as stack:
            default = await stack.enter_async_context(pool(address))
            plain = await stack.enter_async_context(pool(address, autocommit=True))
            checked = pool(address, autocommit=True, check=AsyncConnectionPool.check_connection)
            await stack.enter_async_context(checked)
            app.state.pools = {
                Way.EACH: default,
                Way.REQUEST: default,
                Way.AUTOCOMMIT: plain,
                Way.CHECKED: checked,
            }
            for one in (default, plain, checked):
                await one.wait()
            yield

    return life


def pool(address: str, *, autocommit: bool = False, **options: Any) -> Pool:
    """A pool of two to eight connections, not open yet.

    psycopg would prepare a statement when a connection runs it for the sixth time, which is a round
    trip of its own; it is told not to, so that every request costs the same.
    """
    kwargs = {"autocommit": autocommit, "prepare_threshold": None}
    return AsyncConnectionPool(
        address, min_size=2, max_size=8, open=False, kwargs=kwargs, **options
    )
