"""The storage, for a route."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from lab_apps.practices.project_structure.by_domain.aws import client


async def storage_of(request: Request) -> client.Client:
    """A dependency: the app's client."""
    storage: client.Client = request.app.state.storage
    return storage


Storage = Annotated[client.Client, Depends(storage_of)]
