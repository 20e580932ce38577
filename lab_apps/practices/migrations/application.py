"""The app of practice 6, as it is before posts.body is renamed, and as it is afterwards."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator

import psycopg
from alembic import command
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from lab_apps.practices.migrations import commands
from lab_apps.practices.migrations.posts import Column, routes

POOL = 10
POSTS = 1000


def create_app(url: str | None = None, *, column: Column = "body") -> FastAPI:
    """Return the app for that database, or for the one that LAB_DATABASE_URL names.

    The old app keeps a post's text in the column `body`, the new one in `content`. A statement
    that Postgres refuses is answered with 500 and its SQLSTATE.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        where = url or os.environ.get("LAB_DATABASE_URL")
        if not where:
            raise RuntimeError("LAB_DATABASE_URL is not set: postgresql://user@host/database")
        await run_in_threadpool(fill, where)
        settings = {"autocommit": True, "row_factory": dict_row}
        async with AsyncConnectionPool(
            where, kwargs=settings, min_size=POOL, max_size=POOL, open=False
        ) as pool:
            await pool.wait()
            app.state.pool = pool
            yield

    app = FastAPI(title="Practice 6: migrations", lifespan=lifespan)
    app.include_router(routes(column))
    app.add_exception_handler(psycopg.Error, refused)
    return app


async def refused(_: Request, error: Exception) -> JSONResponse:
    """What a client gets to see of a statement that failed."""
    assert isinstance(error, psycopg.Error)
    return JSONResponse({"sqlstate": error.sqlstate}, status_code=500)


def fill(url: str, posts: int = POSTS) -> None:
    """Migrate to the newest revision and add a user and posts, if there is no table `posts`."""
    with psycopg.connect(url) as connection:
        if connection.execute("SELECT to_regclass('posts')").fetchone() != (None,):
            return
        command.upgrade(commands.config(url), "head")
        connection.execute("INSERT INTO users (email) VALUES ('ada@example.org')")
        connection.execute(
            "INSERT INTO posts (creator_id, title, body)"
            " SELECT 1, 'Post ' || n, md5(n::text) FROM generate_series(1, %s) AS n",
            (posts,),
        )


app = create_app()
