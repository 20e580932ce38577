"""The route that stores a profile, for any of the models."""

from typing import Any

from fastapi import APIRouter, Request

from lab_apps.practices.validation.database import Row, insert
from lab_apps.practices.validation.schemas import Profile


def row_of(profile: Profile) -> dict[str, Any]:
    """The profile as its columns have it."""
    return profile.model_dump() | {
        "favorite_band": profile.favorite_band and profile.favorite_band.value,
        "website": profile.website and str(profile.website),
    }


def router_of(model: type[Profile]) -> APIRouter:
    """`POST /profiles` with a body of that model; the answer is the row that is stored."""
    router = APIRouter()

    @router.post("/profiles")
    async def create(profile: model, request: Request) -> Row:  # type: ignore[valid-type]
        return await insert(request.state.pool, row_of(profile))

    return router
