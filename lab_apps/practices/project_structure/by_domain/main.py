"""The application: its domains put together."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import FastAPI

from lab_apps.practices.project_structure.by_domain import config, database
from lab_apps.practices.project_structure.by_domain.auth import models as auth_models
from lab_apps.practices.project_structure.by_domain.auth import router as auth_router
from lab_apps.practices.project_structure.by_domain.aws import client as storage_client
from lab_apps.practices.project_structure.by_domain.notifications import (
    models as notifications_models,
)
from lab_apps.practices.project_structure.by_domain.notifications import (
    router as notifications_router,
)
from lab_apps.practices.project_structure.by_domain.posts import models as posts_models
from lab_apps.practices.project_structure.by_domain.posts import router as posts_router

TABLES = (auth_models.TABLE, *posts_models.TABLES, notifications_models.TABLE)


def create_app(url: str | None = None, *, bucket: Path | None = None) -> FastAPI:
    """The app on the Postgres at `url`, by default at that of LAB_DATABASE_URL.

    Attached files go into `bucket`, by default LAB_BUCKET_FOLDER or a temporary folder. Starting
    raises RuntimeError where there is no url, psycopg.Error where it can't be connected to.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        address = config.database_url(url)
        with config.bucket_folder(bucket) as folder:
            async with database.opened(address, *TABLES) as pool:
                app.state.pool = pool
                app.state.storage = storage_client.Client(folder)
                yield

    app = FastAPI(title="Practice 1: project structure", lifespan=lifespan)
    for router in (auth_router.router, posts_router.router, notifications_router.router):
        app.include_router(router)
    return app


app = create_app()
