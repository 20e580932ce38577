"""The app's connections to Postgres, and its table."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, TypedDict

import psycopg
from fastapi import FastAPI
from psycopg.rows import class_row
from psycopg_pool import AsyncConnectionPool

VARIABLE = "LAB_DATABASE_URL"
CONNECTIONS = 4

# The lock, because CREATE TABLE IF NOT EXISTS fails where two processes come to it together.
TABLE = """
SELECT pg_advisory_xact_lock(2);
CREATE TABLE IF NOT EXISTS profiles (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    first_name text NOT NULL,
    username text NOT NULL,
    email text NOT NULL,
    age integer NOT NULL,
    favorite_band text,
    website text,
    visits bigint NOT NULL,
    score double precision NOT NULL,
    bio text
);
"""
INSERT = """
INSERT INTO profiles
    (first_name, username, email, age, favorite_band, website, visits, score, bio)
VALUES (%(first_name)s, %(username)s, %(email)s, %(age)s, %(favorite_band)s, %(website)s,
    %(visits)s, %(score)s, %(bio)s)
RETURNING *
"""


@dataclass(frozen=True)
class Row:
    """A profile as it is stored."""

    id: int
    first_name: str
    username: str
    email: str
    age: int
    favorite_band: str | None
    website: str | None
    visits: int
    score: float
    bio: str | None


class State(TypedDict):
    """What the lifespan hands to every request, those of mounted apps too."""

    pool: AsyncConnectionPool[Any]


def lifespan_of(url: str | None) -> Callable[[FastAPI], AbstractAsyncContextManager[State]]:
    """A lifespan that makes the table and keeps a pool of connections in `request.state.pool`.

    It raises RuntimeError where there is neither a `url` nor the variable, and psycopg.Error where
    the database can't be reached.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[State]:
        address = url or os.environ.get(VARIABLE)
        if not address:
            raise RuntimeError(
                f"{VARIABLE} is not set: set it to the address of a Postgres, such as"
                " postgresql:///lab02"
            )
        async with await psycopg.AsyncConnection.connect(address) as connection:
            await connection.execute(TABLE)
        autocommit = {"autocommit": True}
        pool = AsyncConnectionPool(address, min_size=CONNECTIONS, open=False, kwargs=autocommit)
        async with pool:
            await pool.wait()
            yield {"pool": pool}

    return lifespan


async def insert(pool: AsyncConnectionPool[Any], profile: dict[str, Any]) -> Row:
    """Store the profile and answer with the row. Raises psycopg.Error where Postgres refuses it."""
    async with pool.connection() as db, db.cursor(row_factory=class_row(Row)) as cursor:
        await cursor.execute(INSERT, profile)
        row: Row | None = await cursor.fetchone()
    assert row is not None  # an INSERT of one row returns it or raises
    return row
