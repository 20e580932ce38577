"""Bodies of one value, the routes that take them, and the value as a short text."""

import datetime as dt
from collections.abc import Callable
from enum import Enum
from typing import Any, TypeAlias

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

Row: TypeAlias = tuple[str, bytes]  # the name of a type or model, and a body for it
Form: TypeAlias = str | Callable[[str, bytes], str]  # where to send it, or what takes it


def value_of(json: str) -> bytes:
    """The body `{"value": …}`."""
    return f'{{"value":{json}}}'.encode()


def shown(value: object) -> str:
    """A value for a reader: dates in ISO 8601, a set in order, text as `legible`."""
    if isinstance(value, Enum):
        return str(value)
    if isinstance(value, dt.date | dt.time):
        return value.isoformat().replace("T", " ").replace("+00:00", "Z")
    if isinstance(value, set):
        return str(sorted(value, key=str))
    return legible(str(value))


def legible(text: str) -> str:
    """The text, as ascii() has it where it isn't printable Latin; the middle of a long one out."""
    latin = text.isprintable() and all(ord(character) < 0x250 for character in text)
    said = text if latin and text == text.strip() else ascii(text)
    return said if len(said) <= 32 else f"{said[:8]}…{said[-12:]}"


def model_of(kind: Any, **config: Any) -> type[BaseModel]:
    """A model with the field `value` of that type, required."""
    made: type[BaseModel] = create_model(
        "Trap",
        __config__=ConfigDict(**config),  # type: ignore[typeddict-item]
        value=(kind, ...),
    )
    return made


def add(router: APIRouter, path: str, model: type[BaseModel], name: str = "value") -> None:
    """Add a route that takes the model and answers with the field as `shown`."""

    @router.post(path)
    async def take(body: model) -> dict[str, str]:  # type: ignore[valid-type]
        return {"value": shown(getattr(body, name))}


def from_json(model: type[BaseModel], body: bytes) -> str:
    """What `model_validate_json` makes of the same bytes: the value, or "422" if it raises."""
    try:
        return shown(model.model_validate_json(body).value)  # type: ignore[attr-defined]
    except ValidationError:
        return "422"
