"""When the transaction of a `yield` dependency ends: after the answer, or before it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from lab_apps.practices.dependency_cache.database import Connection, Way

router = APIRouter(prefix="/names")


async def transaction(request: Request) -> AsyncIterator[Connection]:
    """A dependency: a connection in a transaction, committed when its scope ends."""
    async with request.app.state.pools[Way.REQUEST].connection() as connection:
        yield connection


AfterAnswer = Annotated[Connection, Depends(transaction)]
BeforeAnswer = Annotated[Connection, Depends(transaction, scope="function")]
INSERT = "INSERT INTO names VALUES (%s)"  # names must be unique, which is checked at the COMMIT


@router.post("/request-scope/{name}", status_code=201)
async def request_scope(name: str, connection: AfterAnswer) -> str:
    """Store a name; the scope is the default one."""
    await connection.execute(INSERT, [name])
    return name


@router.post("/function-scope/{name}", status_code=201)
async def function_scope(name: str, connection: BeforeAnswer) -> str:
    """The same with the scope that ends with the route."""
    await connection.execute(INSERT, [name])
    return name


@router.get("")
async def names(connection: BeforeAnswer) -> list[str]:
    """All names that are stored."""
    cursor = await connection.execute("SELECT name FROM names ORDER BY name")
    return [name async for (name,) in cursor]


async def taken(_request: Request, _error: Exception) -> JSONResponse:
    """The answer to a name that is there already."""
    return JSONResponse({"detail": "this name is taken"}, 409)
