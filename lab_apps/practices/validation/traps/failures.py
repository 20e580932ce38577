"""Errors of validation that aren't the client's answer: 500, or nothing at all."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from lab_apps.practices.validation.traps import pydantic1
from lab_apps.practices.validation.traps.values import Form, Row

router = APIRouter(prefix="/traps/failures")
mended = APIRouter(prefix="/mended")


class Stock(BaseModel):
    """How many of a thing there are."""

    value: int = Field(ge=0)


class Checked(Stock):
    """The same, checked on assignment too."""

    model_config = ConfigDict(validate_assignment=True)


class Shared(BaseModel):
    """A validator that raises TypeError for a value it didn't think of."""

    value: Any

    @field_validator("value")
    @classmethod
    def even(cls, value: Any) -> Any:
        """Even numbers; TypeError for text."""
        if value % 2:
            raise ValueError("odd")
        return value


class SharedInt(Shared):
    """The same for what is an integer by then."""

    value: int


class Span(BaseModel):
    """From first to last."""

    first: int
    last: int

    @model_validator(mode="after")
    def ordered(self) -> Span:
        """ValueError where the last comes first."""
        if self.last < self.first:
            raise ValueError("last before first")
        return self


def value(of: object) -> dict[str, object]:
    """The answer."""
    return {"value": of}


@router.post("/validator")
async def validator(body: Shared) -> dict[str, object]:
    """`"a" % 2` is a TypeError, which Pydantic 2 lets through."""
    return value(body.value)


@mended.post("/validator")
async def validator_mended(body: SharedInt) -> dict[str, object]:
    """A type first, the validator after it."""
    return value(body.value)


@router.post("/in-route")
async def in_route(body: dict[str, Any]) -> dict[str, object]:
    """A model built in the route, of what the client sent."""
    return value(Stock(**body).value)


@mended.post("/in-route")
async def in_route_mended(body: dict[str, Any]) -> dict[str, object]:
    """The error handed to FastAPI as one of the request."""
    try:
        return value(Stock(**body).value)
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_url=False)) from None


@router.post("/depends")
async def depends(span: Annotated[Span, Depends()]) -> dict[str, object]:
    """A model as a dependency: FastAPI validates its parameters, and then calls the class."""
    return value(span.first)


@mended.post("/depends")
async def depends_mended(span: Annotated[Span, Query()]) -> dict[str, object]:
    """A model of the query (FastAPI 0.115)."""
    return value(span.first)


@router.post("/assigned")
async def assigned(body: Stock) -> Stock:
    """Minus five, assigned and returned: neither is validated."""
    body.value -= 5
    return body


@mended.post("/assigned")
async def assigned_mended(body: Checked) -> Checked:
    """500, which is noticed."""
    body.value -= 5
    return body


@router.post("/response")
@mended.post("/response")
async def response(body: dict[str, Any]) -> Stock:
    """A dict against the response model: a fault of the server, and so a 500."""
    return body  # type: ignore[return-value]


router.include_router(mended)


def version1(name: str, body: bytes) -> str:
    """Pydantic 1 takes a validator's TypeError for one of its own; "–" for all else."""
    if name != "validator" or (v1 := pydantic1.usable()) is None:
        return pydantic1.MISSING

    hooks = {"even": v1.validator("value", allow_reuse=True)(Shared.even)}
    model = v1.create_model("Shared", value=(Any, ...), __validators__=hooks)
    try:
        return str(model.parse_raw(body).value)
    except v1.ValidationError:
        return "422"


ROWS: dict[str, Row] = {
    "a validator raises TypeError": ("validator", b'{"value":"a"}'),
    "a model built in the route": ("in-route", b'{"value":-1}'),
    "Depends() of a model with a validator": ("depends?first=2&last=1", b""),
    "a response model, and a dict": ("response", b'{"value":-1}'),
    "a response model, and an object changed since": ("assigned", b'{"value":2}'),
}
MEANT = dict.fromkeys(list(ROWS)[:3], "422") | dict.fromkeys(list(ROWS)[3:], "500")


def form(prefix: str) -> str:
    """Where these routes are."""
    return f"/traps/failures{prefix}"


FORMS: dict[str, Form] = {
    "Pydantic 1": version1,
    "2, as often written": form(""),
    "2, mended": form("/mended"),
}
