"""Unions of 1 to 128 models that tell which they are: `POST /members/{kind}/{number}`."""

from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field, TypeAdapter, ValidationError, create_model

from lab_apps.practices.unions.forms import post, union

KINDS = ("discriminated", "smart", "left-to-right")
SIZES = (1, 2, 4, 8, 16, 32, 64, 128)

router = APIRouter()


@cache
def member(index: int) -> type[BaseModel]:
    """A model such as `kind: Literal["k3"]; number: int; text: str | None = None`."""
    fields: dict[str, Any] = {
        "kind": (Literal[f"k{index}"], ...),
        "number": (int, ...),
        "text": (str | None, None),
    }
    model: type[BaseModel] = create_model(f"Member{index}", **fields)
    return model


def content(index: int) -> dict[str, Any]:
    """What fits that member and no other."""
    return {"kind": f"k{index}", "number": 1, "text": "t"}


def of(kind: str, members: int) -> Any:
    """The union of the first `members` models, in one of the three `KINDS`."""
    plain = union(tuple(member(index) for index in range(members)))
    if members == 1:
        return plain
    how = {
        "smart": Field(),
        "left-to-right": Field(union_mode="left_to_right"),
        "discriminated": Field(discriminator="kind"),
    }
    return Annotated[plain, how[kind]]


def validating(kind: str, members: int, value: Any) -> Callable[[], object]:
    """What validates a value as FastAPI does, or fails to."""
    adapter = TypeAdapter(of(kind, members))
    return lambda: attempt(adapter, value)


def attempt(adapter: TypeAdapter[Any], value: Any) -> object:
    """What it makes of a value, or the ValidationError."""
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        return error


def add(kind: str, members: int) -> None:
    """Add the endpoint of that union: its body has one, as `content`."""

    model = post(of(kind, members))

    @router.post(f"/members/{kind}/{members}")
    async def take(body: model) -> dict[str, str]:  # type: ignore[valid-type]
        return {"kind": body.content.kind}  # type: ignore[attr-defined]


for _kind in KINDS:
    for _size in SIZES:
        add(_kind, _size)
