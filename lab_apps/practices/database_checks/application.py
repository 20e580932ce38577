"""The app of practice 3."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI

from lab_apps.practices.database_checks import locks, posts, signup, transactions, unit_of_work
from lab_apps.practices.database_checks.database import lifespan_of


def create_app(
    url: str | None = None, *, of_posts: APIRouter = posts.router, autocommit: bool = True
) -> FastAPI:
    """The app on the Postgres at `url`, by default at that of LAB_DATABASE_URL.

    The variable is read, and the database connected to, when the app starts. `of_posts` can be
    another router in place of that of `posts`, such as a mutant. Without `autocommit`, which is
    psycopg's default, a transaction is around what is asked of each connection taken from the pool.
    """
    app = FastAPI(title="Practice 3: database checks", lifespan=lifespan_of(url, autocommit))
    for router in (of_posts, signup.router, transactions.router, locks.router, unit_of_work.router):
        app.include_router(router)
    return app


app = create_app()
