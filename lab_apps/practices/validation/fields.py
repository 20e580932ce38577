"""A model that grows: `POST /fields/3` takes the first three fields of the profile.

`POST /bare` takes all of them with no more than their types, and the other three routes take a
model in other places.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Body
from pydantic import BaseModel, RootModel, create_model

from lab_apps.practices.validation.schemas import Profile

router = APIRouter()


class Bare(BaseModel):
    """The profile's fields with nothing but types that JSON has."""

    first_name: str
    username: str
    email: str
    age: int
    favorite_band: str | None = None
    website: str | None = None
    visits: int = 0
    score: float = 0.0
    bio: str | None = None


def first(number: int) -> type[BaseModel]:
    """A model with so many of the profile's fields; other keys are ignored."""
    infos = list(Profile.model_fields.items())[:number]
    fields = {name: (info.annotation, info) for name, info in infos}
    model: type[BaseModel] = create_model(f"First{number}", **fields)  # type: ignore[call-overload]
    return model


def add(path: str, model: type[BaseModel]) -> None:
    """Add a route that takes such a body and stores nothing."""

    @router.post(path)
    async def take(body: model) -> dict[str, int]:  # type: ignore[valid-type]
        return {"fields": len(type(body).model_fields)}  # type: ignore[attr-defined]


for number in range(len(Profile.model_fields) + 1):
    add(f"/fields/{number}", first(number))
add("/bare", Bare)


@router.post("/elsewhere/embedded")
async def embedded(body: Annotated[Bare, Body(embed=True)]) -> dict[str, str]:
    """The model under a key of the body."""
    return {"username": body.username}


@router.post("/elsewhere/two")
async def two(one: Bare, other: Bare) -> dict[str, str]:
    """Two models, so each under a key."""
    return {"one": one.username, "other": other.username}


@router.post("/elsewhere/root")
async def root(body: RootModel[Any]) -> dict[str, bool]:
    """A model of anything."""
    return {"taken": body is not None}
