"""A model that grows: `POST /fields/3` takes the first three fields of the profile."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, create_model

from lab_apps.practices.validation.schemas import Profile

router = APIRouter()


def first(number: int) -> type[BaseModel]:
    """A model with so many of the profile's fields; other keys are ignored."""
    infos = list(Profile.model_fields.items())[:number]
    fields = {name: (info.annotation, info) for name, info in infos}
    model: type[BaseModel] = create_model(f"First{number}", **fields)  # type: ignore[call-overload]
    return model


def add(number: int) -> None:
    """Add the route for that number of fields. It stores nothing."""

    async def take(body: BaseModel) -> dict[str, int]:
        return {"fields": len(type(body).model_fields)}

    take.__annotations__["body"] = first(number)
    router.post(f"/fields/{number}")(take)


for number in range(len(Profile.model_fields) + 1):
    add(number)
