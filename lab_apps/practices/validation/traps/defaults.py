"""Fields that are left out: a default that isn't validated, and what became required."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from lab_apps.practices.validation.traps import pydantic1
from lab_apps.practices.validation.traps.values import Form, Row, add

router = APIRouter(prefix="/traps/defaults")


class NoneOrNot(BaseModel):
    """The article's line of 2022: an integer whose default is none."""

    age: int = Field(default=None, ge=18)  # type: ignore[assignment]


class TooYoung(BaseModel):
    """A default that the field's own bound forbids."""

    age: int = Field(default=5, ge=18)


class Validated(BaseModel):
    """The same, with its default validated: 422 for everyone who leaves the field out."""

    age: int = Field(default=5, ge=18, validate_default=True)


class NoDefault(BaseModel):
    """Optional as to its type."""

    age: int | None


class Optional(BaseModel):
    """Optional in both ways, and bounded where it is there."""

    age: Annotated[int, Field(ge=18)] | None = None


DEFAULTS: dict[str, type[BaseModel]] = {
    "int = Field(default=None, ge=18)": NoneOrNot,
    "int = Field(default=5, ge=18)": TooYoung,
    "the same, validate_default=True": Validated,
}
NULLABLE: dict[str, type[BaseModel]] = {
    "int | None": NoDefault,
    "Annotated[int, Field(ge=18)] | None = None": Optional,
}
BODIES = {"left out": b"{}", "null": b'{"age":null}', "5": b'{"age":5}'}

for model in (*DEFAULTS.values(), *NULLABLE.values()):
    add(router, f"/{model.__name__}", model, "age")


def rows(models: dict[str, type[BaseModel]]) -> dict[str, Row]:
    """Each of the bodies for each of the models."""
    return {
        f"{text}, {what}": (model.__name__, body)
        for text, model in models.items()
        for what, body in BODIES.items()
    }


def version1(name: str, body: bytes) -> str:
    """What Pydantic 1 makes of it; "–" for `validate_default`, which it has not."""

    def field(v1: Any) -> Any:
        return {
            "NoneOrNot": (int, v1.Field(None, ge=18)),
            "TooYoung": (int, v1.Field(5, ge=18)),
            "NoDefault": int | None,
            "Optional": (v1.conint(ge=18) | None, None),
        }[name]

    return pydantic1.MISSING if name == "Validated" else pydantic1.outcome("age", field, body)


# What each form says to its reader, in the order of BODIES.
SAYS = {
    "int = Field(default=None, ge=18)": ("None", "None", "422"),
    "int = Field(default=5, ge=18)": ("422", "422", "422"),  # 5 is too young
    "the same, validate_default=True": ("422", "422", "422"),
    "int | None": ("None", "None", "5"),
    "Annotated[int, Field(ge=18)] | None = None": ("None", "None", "422"),
}
MEANT = dict(
    zip(rows(DEFAULTS | NULLABLE), (said for of in SAYS.values() for said in of), strict=True)
)
FORMS: dict[str, Form] = {"Pydantic 1": version1, "2, endpoint": "/traps/defaults"}
