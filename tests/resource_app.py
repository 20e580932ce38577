"""The app of practice 7 with something that its lifespan opens and closes around the task group."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request, Response

from lab_apps.practices.background_tasks.application import create_app
from lab_apps.practices.background_tasks.groups import task_groups
from lab_apps.practices.background_tasks.ledger import note


@contextlib.asynccontextmanager
async def resource(app: FastAPI) -> AsyncIterator[None]:
    """A lifespan as many apps have it."""
    app.state.open = True
    try:
        async with task_groups(app):
            yield
    finally:
        app.state.open = False
        note("resource", "closed")


app = create_app(resource)


@app.get("/resource", response_model=None)
async def use(request: Request) -> Response:
    """200 while it is open, else 503."""
    return Response(status_code=200 if request.app.state.open else 503)
