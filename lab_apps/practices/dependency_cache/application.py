"""The app of practice 4."""

from __future__ import annotations

from fastapi import FastAPI
from psycopg import errors

from lab_apps.practices.dependency_cache import (
    cache,
    commits,
    independent,
    joined,
    pooled,
    split,
)
from lab_apps.practices.dependency_cache.database import lifespan


def create_app(url: str | None = None) -> FastAPI:
    """The app, on the Postgres of `url` or else of LAB_DATABASE_URL, read when it starts."""
    app = FastAPI(title="Practice 4: the dependency cache", lifespan=lifespan(url))
    for part in (split, joined, cache, independent, commits, pooled):
        app.include_router(part.router)
    app.add_exception_handler(errors.UniqueViolation, commits.taken)
    return app


app = create_app()
