"""The app of practice 10."""

from __future__ import annotations

from fastapi import FastAPI
from openai import APIError

from lab_apps.practices.sync_sdk import built, chats, faults, leaving, streams
from lab_apps.practices.sync_sdk.clients import lifespan_of


def create_app(upstream_url: str | None = None) -> FastAPI:
    """The app, on the upstream at that address, or else at that of UPSTREAM_URL."""
    app = FastAPI(title="Practice 10: sync SDKs", lifespan=lifespan_of(upstream_url))
    for part in (chats, built, streams, faults, leaving):
        app.include_router(part.router)
    app.add_exception_handler(APIError, faults.upstream_failed)
    return app


app = create_app()
