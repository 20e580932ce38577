"""An app that asks its database wherever a request can, and what the tests of queries share."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI
from helpers import TESTS
from psycopg import _connection_base
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from lab_apps.instruments.queries import Query

APP = "queries_app:create_app"
VARIABLE = "TEST_QUERIES_URL"


@contextlib.contextmanager
def environment(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The app can be imported and asks that database; afterwards psycopg is as it was."""
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    monkeypatch.setenv(VARIABLE, url)
    before = methods()
    yield
    assert methods() == before, "psycopg is not as it was"


def methods() -> dict[str, object]:
    """All that psycopg's cursors and connections are made of."""
    names = ("Cursor", "ServerCursor", "Connection")
    owners = [getattr(psycopg, kind + name) for kind in ("", "Async") for name in names]
    owners.append(_connection_base.BaseConnection)
    return {f"{one.__name__}.{name}": it for one in owners for name, it in vars(one).items()}


def create_app() -> FastAPI:
    """Each request tags what it asks with its own number."""
    url = os.environ[VARIABLE]
    pool = ConnectionPool(url, min_size=2, max_size=8, open=False)
    async_pool = AsyncConnectionPool(url, min_size=2, max_size=8, open=False)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with pool:
            async with async_pool:
                ask("lifespan", 0)
                yield

    app = FastAPI(lifespan=lifespan)

    def ask(where: str, number: int) -> None:
        with pool.connection() as connection:
            connection.execute(f"SELECT '{where}', {number}, pg_sleep(%s)", [0.002])

    async def ask_async(where: str, number: int) -> None:
        async with async_pool.connection() as connection:
            await connection.execute(f"SELECT '{where}', {number}, pg_sleep(%s)", [0.002])

    def dependency(number: int) -> None:
        ask("dependency", number)

    def around(number: int) -> Iterator[None]:
        yield
        ask("exit", number)

    async def async_dependency(number: int) -> None:
        await ask_async("dependency", number)

    async def async_around(number: int) -> AsyncIterator[None]:
        yield
        await ask_async("exit", number)

    @app.get("/def/{number}", dependencies=[Depends(dependency), Depends(around)])
    def in_def(number: int, after: BackgroundTasks) -> int:
        ask("route", number)
        after.add_task(ask, "background", number)
        return number

    both = [Depends(async_dependency), Depends(async_around)]

    @app.get("/async/{number}", dependencies=both)
    async def in_async(number: int, after: BackgroundTasks) -> int:
        await ask_async("route", number)
        after.add_task(ask_async, "background", number)
        return number

    @app.get("/mixed/{number}", dependencies=[Depends(dependency), Depends(async_around)])
    async def mixed(number: int, after: BackgroundTasks) -> int:
        await asyncio.create_task(ask_async("route", number))
        after.add_task(ask, "background", number)
        return number

    @app.post("/fails/{number}", dependencies=[Depends(dependency)])
    def fails(number: int) -> None:
        with pool.connection() as connection:
            connection.execute(f"SELECT {number} / 0")

    @app.get("/elsewhere/{number}")
    async def elsewhere(number: int) -> None:
        """In a thread that has not the context."""
        await asyncio.get_running_loop().run_in_executor(None, ask, "elsewhere", number)

    tasks = set()

    @app.get("/later/{number}")
    async def later(number: int) -> None:
        """In a task that outlives the request."""

        async def go_on() -> None:
            await asyncio.sleep(0.05)
            await ask_async("later", number)

        tasks.add(asyncio.create_task(go_on()))

    return app


def texts(statements: tuple[Query, ...] | list[Query]) -> list[str]:
    return [statement.sql for statement in statements]
