"""Check and insert in one transaction, at each isolation level.

What Postgres promises of each: its documentation, "Transaction Isolation".
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any, Literal, TypeAlias

from fastapi import APIRouter, HTTPException
from psycopg.errors import SerializationFailure
from psycopg_pool import AsyncConnectionPool

from lab_apps.practices.database_checks.database import Pool
from lab_apps.practices.database_checks.signup import (
    Database,
    SignUp,
    Work,
    check,
    insert,
    insert_or_409,
)

router = APIRouter()

Isolation: TypeAlias = Literal["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]
ATTEMPTS = 5


@contextlib.asynccontextmanager
async def transaction(
    pool: AsyncConnectionPool[Any], isolation: Isolation
) -> AsyncIterator[Database]:
    """A connection with a transaction, committed after the block or rolled back by what it raises.

    The commit can fail as well: raises psycopg.errors.SerializationFailure.
    """
    async with pool.connection() as db, db.transaction():
        await db.execute(f"SET TRANSACTION ISOLATION LEVEL {isolation}")
        yield db


@router.post("/read-committed", status_code=201)
async def read_committed(new: SignUp, pool: Pool, between: Work) -> SignUp:
    """Postgres' default: the check doesn't see what others have not committed."""
    async with transaction(pool, "READ COMMITTED") as db:
        await check(db, new.email)
        await between()
        await insert(db, new.email)
    return new


@router.post("/repeatable-read", status_code=201)
async def repeatable_read(new: SignUp, pool: Pool, between: Work) -> SignUp:
    """A snapshot, which two transactions may write to as long as they write other rows."""
    async with transaction(pool, "REPEATABLE READ") as db:
        await check(db, new.email)
        await between()
        await insert(db, new.email)
    return new


@router.post("/for-update", status_code=201)
async def for_update(new: SignUp, pool: Pool, between: Work) -> SignUp:
    """`FOR UPDATE` locks the rows that are found, and there are none."""
    async with transaction(pool, "READ COMMITTED") as db:
        await check(db, new.email, lock="FOR UPDATE")
        await between()
        await insert(db, new.email)
    return new


@router.post("/serializable", status_code=201)
async def serializable(new: SignUp, pool: Pool, between: Work) -> SignUp:
    """As if one after another: whoever would break that is aborted (40001) and has to try again."""
    for _ in range(ATTEMPTS):
        with contextlib.suppress(SerializationFailure):
            async with transaction(pool, "SERIALIZABLE") as db:
                await check(db, new.email)
                await between()
                await insert(db, new.email)
            return new
    raise HTTPException(503, f"{ATTEMPTS} attempts were not enough", {"Retry-After": "1"})


@router.post("/on-conflict-repeatable-read", status_code=201)
async def on_conflict_repeatable_read(new: SignUp, pool: Pool, between: Work) -> SignUp:
    """The remedy in a snapshot that is older than the row it meets: 40001 and no conflict."""
    async with transaction(pool, "REPEATABLE READ") as db:
        await check(db, new.email, "users")
        await between()
        await insert_or_409(db, new.email)
    return new
