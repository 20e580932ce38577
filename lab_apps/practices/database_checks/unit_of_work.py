"""One transaction for each request, in a dependency with `yield`: when is it committed?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Depends, Query

from lab_apps.practices.database_checks.database import Pool
from lab_apps.practices.database_checks.signup import Database, SignUp, check, insert
from lab_apps.practices.database_checks.transactions import transaction

router = APIRouter()

MailMs = Annotated[float, Query(ge=0, le=5000)]


async def unit_of_work(pool: Pool) -> AsyncIterator[Database]:
    """A dependency: a connection with a transaction, committed when the dependency is left."""
    async with transaction(pool, "READ COMMITTED") as db:
        yield db


async def welcome(mail_ms: float) -> None:
    """Send a mail, which takes so long."""
    await asyncio.sleep(mail_ms / 1e3)


@router.post("/unit-of-work", status_code=201)
async def committed_late(
    new: SignUp,
    db: Annotated[Database, Depends(unit_of_work)],
    tasks: BackgroundTasks,
    mail_ms: MailMs = 0,
) -> SignUp:
    """The dependency is left after the answer, and after the background tasks."""
    await check(db, new.email)
    await insert(db, new.email)
    tasks.add_task(welcome, mail_ms)
    return new


@router.post("/unit-of-work-function", status_code=201)
async def committed_in_time(
    new: SignUp,
    db: Annotated[Database, Depends(unit_of_work, scope="function")],
    tasks: BackgroundTasks,
    mail_ms: MailMs = 0,
) -> SignUp:
    """The dependency is left when the route has returned, before the answer."""
    await check(db, new.email)
    await insert(db, new.email)
    tasks.add_task(welcome, mail_ms)
    return new
