"""Check and insert under a lock: one that the database keeps, and one of the process alone."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from fastapi import APIRouter

from lab_apps.practices.database_checks.database import Pool
from lab_apps.practices.database_checks.signup import Database, SignUp, Work, check, insert
from lab_apps.practices.database_checks.transactions import transaction

router = APIRouter()

of_address: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)


async def lock(db: Database, email: str) -> None:
    """Wait until no other transaction holds the address; it is let go with the transaction.

    Addresses with the same hash wait for each other too, which does no harm.
    """
    await db.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [email])


@router.post("/advisory-lock", status_code=201)
async def advisory_lock(new: SignUp, pool: Pool, between: Work) -> SignUp:
    """A lock on the address, in the database: whoever forgets to take it is not held up."""
    async with transaction(pool, "READ COMMITTED") as db:
        await lock(db, new.email)
        await check(db, new.email)
        await between()
        await insert(db, new.email)
    return new


@router.post("/advisory-lock-repeatable-read", status_code=201)
async def advisory_lock_repeatable_read(new: SignUp, pool: Pool, between: Work) -> SignUp:
    """The same lock, but the snapshot is taken before it is waited for."""
    async with transaction(pool, "REPEATABLE READ") as db:
        await lock(db, new.email)
        await check(db, new.email)
        await between()
        await insert(db, new.email)
    return new


@router.post("/process-lock", status_code=201)
async def process_lock(new: SignUp, pool: Pool, between: Work) -> SignUp:
    """A lock on the address, in this process; it is never thrown away, which is a leak."""
    async with of_address[new.email], pool.connection() as db:
        await check(db, new.email)
        await between()
        await insert(db, new.email)
    return new
