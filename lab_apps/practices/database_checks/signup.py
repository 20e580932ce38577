"""Sign-ups whose address must be free: checked by a dependency, by a constraint, by both.

A sign-up has something to do between the check and the insert: hash a password, ask another
service. Here that is `gap_ms` of waiting, or with `hashed` a password hash as the documentation
of `hashlib.scrypt` has it. The table `loose_users` has no constraint, `users` has one.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal, TypeAlias

from fastapi import APIRouter, Depends, HTTPException, Query
from fastapi.concurrency import run_in_threadpool
from psycopg import AsyncConnection
from pydantic import BaseModel, Field

from lab_apps.practices.database_checks.database import Pool

router = APIRouter()

Table: TypeAlias = Literal["loose_users", "users"]
Database: TypeAlias = AsyncConnection[tuple[Any, ...]]


class SignUp(BaseModel):
    """What a client sends to sign up."""

    email: Annotated[str, Field(max_length=254, pattern="@")]


async def work(
    gap_ms: Annotated[float, Query(ge=0, le=5000)] = 0, hashed: bool = False
) -> Callable[[], Awaitable[None]]:
    """A dependency: what is to be done between the check and the insert."""

    async def between() -> None:
        if hashed:
            await run_in_threadpool(hashlib.scrypt, b"password", salt=b"salt", n=2**14, r=8, p=1)
        if gap_ms:
            await asyncio.sleep(gap_ms / 1e3)

    return between


Work = Annotated[Callable[[], Awaitable[None]], Depends(work)]


def taken(email: str, when: str = "already") -> HTTPException:
    """The answer for an address that has an account."""
    return HTTPException(409, f"{email} has an account {when}: sign in")


async def check(db: Database, email: str, table: Table = "loose_users", lock: str = "") -> None:
    """Raise HTTPException 409 where the address is in the table; `lock` ends the statement."""
    found = await db.execute(f"SELECT 1 FROM {table} WHERE email = %s {lock}", [email])
    if await found.fetchone():
        raise taken(email)


async def insert(db: Database, email: str, table: Table = "loose_users") -> None:
    """Store the user. Raises psycopg.errors.UniqueViolation where the table has a say."""
    await db.execute(f"INSERT INTO {table} VALUES (%s)", [email])


async def insert_or_409(db: Database, email: str) -> None:
    """Store the user and see in the same statement whether the address was free."""
    stored = await db.execute(
        "INSERT INTO users VALUES (%s) ON CONFLICT (email) DO NOTHING RETURNING email", [email]
    )
    if not await stored.fetchone():
        raise taken(email, "since a moment ago")


async def loose_email(new: SignUp, pool: Pool) -> SignUp:
    """A dependency, as the article has it. Raises HTTPException 409 for an address in the table."""
    async with pool.connection() as db:
        await check(db, new.email)
    return new


async def free_email(new: SignUp, pool: Pool) -> SignUp:
    """The same for the table with the constraint."""
    async with pool.connection() as db:
        await check(db, new.email, "users")
    return new


@router.post("/dependency", status_code=201)
async def dependency(
    new: Annotated[SignUp, Depends(loose_email)], pool: Pool, between: Work
) -> SignUp:
    """The check in a dependency, and nothing else: what the article says."""
    await between()
    async with pool.connection() as db:
        await insert(db, new.email)
    return new


@router.post("/unique", status_code=201)
async def unique(new: SignUp, pool: Pool, between: Work) -> SignUp:
    """A constraint that nobody handles."""
    await between()
    async with pool.connection() as db:
        await insert(db, new.email, "users")
    return new


@router.post("/on-conflict", status_code=201)
async def on_conflict(new: SignUp, pool: Pool, between: Work) -> SignUp:
    """A constraint, and a statement that asks whether it has been met."""
    await between()
    async with pool.connection() as db:
        await insert_or_409(db, new.email)
    return new


@router.post("/users", status_code=201)
async def users(new: Annotated[SignUp, Depends(free_email)], pool: Pool, between: Work) -> SignUp:
    """The remedy: the constraint decides, the dependency spares most of the rest the work."""
    await between()
    async with pool.connection() as db:
        await insert_or_409(db, new.email)
    return new
