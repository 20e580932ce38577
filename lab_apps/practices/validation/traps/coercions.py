"""What is converted, and what strict mode makes of it in an endpoint and outside one."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from lab_apps.practices.validation.traps import pydantic1
from lab_apps.practices.validation.traps.values import (
    Form,
    Row,
    add,
    from_json,
    legible,
    model_of,
    shown,
    value_of,
)

router = APIRouter(prefix="/traps/coercions")


class Band(Enum):
    """An enum of texts."""

    QUEEN = "QUEEN"


TYPES: dict[str, Any] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
    "datetime": dt.datetime,
    "date": dt.date,
    "timedelta": dt.timedelta,
    "Decimal": Decimal,
    "UUID": UUID,
    "Enum": Band,
    "set": set[int],
    "Literal[1]": Literal[1],
}
LAX = {name: model_of(kind) for name, kind in TYPES.items()}
STRICT = {name: model_of(kind, strict=True) for name, kind in TYPES.items()}


def json_body(model: type[BaseModel]) -> Callable[[Request], Any]:
    """A dependency: the model from the bytes of the body, so in Pydantic's JSON mode.

    422 without the input where it is invalid. OpenAPI doesn't see the model.
    """

    async def validated(request: Request) -> BaseModel:
        try:
            return model.model_validate_json(await request.body())
        except ValidationError as error:
            problems = error.errors(include_url=False, include_input=False)
            raise RequestValidationError(problems) from None

    return validated


def add_from_bytes(path: str, model: type[BaseModel]) -> None:
    """Add a route that validates the bytes itself."""

    @router.post(path)
    async def take(body: Annotated[Any, Depends(json_body(model))]) -> dict[str, str]:
        return {"value": shown(body.value)}


for name in TYPES:
    add(router, f"/lax/{name}", LAX[name])
    add(router, f"/strict/{name}", STRICT[name])
    add_from_bytes(f"/bytes/{name}", STRICT[name])

# What is sent, and what a reader of the model would expect: the value, or 422.
SENT = (
    ("str", "1", "422"),
    ("int", "1.9", "422"),
    ("int", '"1.0"', "422"),
    ("int", "true", "422"),
    ("int", '"1_000"', "422"),
    ("int", '" 20 "', "422"),
    ("int", r'"\u0662\u0660"', "422"),
    ("int", "1e400", "422"),
    ("float", '"inf"', "422"),
    ("float", "1e400", "422"),
    ("bool", '"T"', "422"),
    ("datetime", "20000000000", "422"),
    ("datetime", "20000000001", "422"),
    ("datetime", '"20240101"', "422"),
    ("date", '"20240101"', "422"),
    ("date", "86400", "422"),
    ("timedelta", "true", "422"),
    ("Decimal", "12345678901234567.89", "12345678901234567.89"),
)
VALID = (
    ("int", "20", "20"),
    ("datetime", '"2024-01-01T12:00Z"', "2024-01-01 12:00:00Z"),
    ("date", '"2024-01-01"', "2024-01-01"),
    ("timedelta", '"PT1M"', "0:01:00"),
    ("UUID", f'"{UUID(int=1)}"', str(UUID(int=1))),
    ("Decimal", '"1.10"', "1.10"),
    ("Enum", '"QUEEN"', "Band.QUEEN"),
    ("set", "[1,2]", "[1, 2]"),
    ("int", '"20"', "422"),
    ("int", "true", "422"),
    ("float", "1e400", "422"),
    ("Literal[1]", "true", "422"),
    ("datetime", '"20240101"', "422"),
)


def rows(sent: tuple[tuple[str, str, str], ...]) -> dict[str, Row]:
    """Bodies by a label: "int ← 1.9"."""
    return {f"{kind} ← {legible(json)}": (kind, value_of(json)) for kind, json, _ in sent}


def meant(sent: tuple[tuple[str, str, str], ...]) -> dict[str, str]:
    """What a reader of the model expects, by the same label."""
    return {f"{kind} ← {legible(json)}": legible(expected) for kind, json, expected in sent}


LAX_FORMS: dict[str, Form] = {
    "Pydantic 1": lambda kind, body: pydantic1.outcome("value", lambda _: TYPES[kind], body),
    "2, endpoint": "/traps/coercions/lax",
    "2, JSON bytes": lambda kind, body: from_json(LAX[kind], body),
}
STRICT_FORMS: dict[str, Form] = {
    "lax, endpoint": "/traps/coercions/lax",
    "strict, endpoint": "/traps/coercions/strict",
    "strict, JSON bytes": lambda kind, body: from_json(STRICT[kind], body),
    "strict, endpoint that validates the bytes": "/traps/coercions/bytes",
}
