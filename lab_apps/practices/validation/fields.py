"""A model that grows: `POST /fields/3` takes the first three fields of the profile.

`POST /bare` takes all of them with no more than their types, as `by_hand` has them in a dataclass,
and the other three routes take that in other places.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Body
from pydantic import BaseModel, RootModel, create_model

from lab_apps.practices.validation import by_hand
from lab_apps.practices.validation.schemas import Profile

router = APIRouter()


def first(number: int) -> type[BaseModel]:
    """A model with so many of the profile's fields; other keys are ignored."""
    infos = list(Profile.model_fields.items())[:number]
    fields = {name: (info.annotation, info) for name, info in infos}
    model: type[BaseModel] = create_model(f"First{number}", **fields)  # type: ignore[call-overload]
    return model


def add(path: str, model: type) -> None:
    """Add a route that takes such a body and stores nothing."""

    @router.post(path)
    async def take(body: model) -> dict[str, str]:  # type: ignore[valid-type]
        return {"taken": type(body).__name__}


for number in range(len(Profile.model_fields) + 1):
    add(f"/fields/{number}", first(number))
add("/bare", by_hand.Profile)


@router.post("/elsewhere/embedded")
async def embedded(body: Annotated[by_hand.Profile, Body(embed=True)]) -> dict[str, str]:
    """The model under a key of the body."""
    return {"username": body.username}


@router.post("/elsewhere/two")
async def two(one: by_hand.Profile, other: by_hand.Profile) -> dict[str, str]:
    """Two models, so each under a key."""
    return {"one": one.username, "other": other.username}


@router.post("/elsewhere/root")
async def root(body: RootModel[Any]) -> dict[str, bool]:
    """A model of anything."""
    return {"taken": body is not None}
