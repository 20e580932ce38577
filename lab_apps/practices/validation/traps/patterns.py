"""Patterns: where they end, which can't be built, and what each engine costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, TypeAlias

from fastapi import APIRouter
from pydantic import BaseModel, StringConstraints, ValidationError
from pydantic_core import SchemaError

from lab_apps.practices.validation.traps import pydantic1
from lab_apps.practices.validation.traps.values import Form, Row, add, model_of, value_of

router = APIRouter(prefix="/traps/patterns")
Engine: TypeAlias = Literal["rust-regex", "python-re"]
ENGINES: tuple[Engine, ...] = ("rust-regex", "python-re")

PATTERNS = {
    "anchored": r"^[a-z]+$",
    "not anchored": r"[a-z]+",
    "digits": r"^\d+$",
    "words": r"^(\w+\s?)*$",
}
# Pattern, what is sent, and what is meant: accepted or 422.
SENT = (
    ("anchored", r'"abc\n"', "422"),
    ("not anchored", '"<b>"', "422"),
    ("not anchored", '"b<b>"', "422"),
    ("digits", r'"\u0662\u0660"', "422"),
)
UNBUILT = (r"^(?!admin)[a-z]+$", r"(?<=@)\w+$", r"^(.)\1$", r"^[a-z]+\Z", r"^a{,3}$", r"(?a)^\w+$")


def model(pattern: str, engine: Engine) -> type[BaseModel]:
    """A model whose `value` matches. Raises pydantic_core.SchemaError for what can't be built."""
    return model_of(Annotated[str, StringConstraints(pattern=pattern)], regex_engine=engine)


def built(pattern: str, engine: Engine) -> str:
    """What the class statement comes to: "a model", or the name of what it raises."""
    try:
        model(pattern, engine)
    except SchemaError as error:
        return type(error).__name__
    return "a model"


def buildable() -> dict[str, dict[str, str]]:
    """Which of `UNBUILT` makes a model, by engine."""
    return {pattern: {engine: built(pattern, engine) for engine in ENGINES} for pattern in UNBUILT}


for name, pattern in PATTERNS.items():
    for engine in ENGINES:
        add(router, f"/{engine}/{name}", model(pattern, engine))


def checking(engine: Engine, characters: int) -> Callable[[], None]:
    """A function that checks so many letters, and then "!", against the pattern "words"."""
    words, text = model(PATTERNS["words"], engine), "a" * characters + "!"

    def check() -> None:
        try:
            words(value=text)
        except ValidationError:
            return
        raise AssertionError("accepted")

    return check


ROWS: dict[str, Row] = {
    f"{PATTERNS[name]} ← {json}": (name, value_of(json)) for name, json, _ in SENT
}
MEANT = {f"{PATTERNS[name]} ← {json}": expected for name, json, expected in SENT}
FORMS: dict[str, Form] = {
    "Pydantic 1": lambda kind, body: pydantic1.outcome(
        "value", lambda v1: v1.constr(regex=PATTERNS[kind]), body
    ),
    "2, Rust engine": "/traps/patterns/rust-regex",
    "2, python-re": "/traps/patterns/python-re",
}
