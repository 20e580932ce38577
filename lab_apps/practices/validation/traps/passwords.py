"""A password on its way out: in the answer of 422, and in the log of a 500."""

from __future__ import annotations

import json
import traceback
from typing import Annotated, Self

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from lab_apps.practices.validation.traps.coercions import json_body
from lab_apps.practices.validation.traps.values import Form, Row

router = APIRouter(prefix="/traps/passwords")
PASSWORD = b"hunter2"


class SignUp(BaseModel):
    """A name and a password, twice."""

    name: str
    password: str = Field(min_length=7, max_length=7)
    repeated: str

    @model_validator(mode="after")
    def same(self) -> Self:
        """ValueError where the two differ."""
        if self.password != self.repeated:
            raise ValueError("the passwords differ")
        return self


class Secret(SignUp):
    """The same with a type that hides its value, once it has one."""

    password: SecretStr = Field(min_length=7, max_length=7)  # type: ignore[assignment]
    repeated: SecretStr  # type: ignore[assignment]


class Hidden(SignUp):
    """The same with errors that print no input."""

    model_config = ConfigDict(hide_input_in_errors=True)


@router.post("/str")
async def plain(body: SignUp) -> dict[str, str]:
    """The field is a str."""
    return {"value": body.name}


@router.post("/SecretStr")
async def secret(body: Secret) -> dict[str, str]:
    """The field is a SecretStr."""
    return {"value": body.name}


@router.post("/hidden")
async def hidden(body: Hidden) -> dict[str, str]:
    """hide_input_in_errors is set."""
    return {"value": body.name}


@router.post("/bytes")
async def from_bytes(body: Annotated[SignUp, Depends(json_body(SignUp))]) -> dict[str, str]:
    """Validated with include_input=False; an error handler for the whole app does as well."""
    return {"value": body.name}


def body_of(**changed: str | None) -> bytes:
    """A valid sign-up, some fields changed, those that are None left out."""
    fields = {"name": "ada", "password": PASSWORD.decode(), "repeated": PASSWORD.decode()} | changed
    return json.dumps({name: text for name, text in fields.items() if text is not None}).encode()


ROWS: dict[str, Row] = {
    "the password is too long": ("", body_of(password="hunter2!")),
    "the two differ": ("", body_of(repeated="hunter2!")),
    "another field is missing": ("", body_of(name=None)),
}
FORMS: dict[str, Form] = {
    "str": "/traps/passwords/str",
    "SecretStr": "/traps/passwords/SecretStr",
    "hide_input_in_errors": "/traps/passwords/hidden",
    "include_input=False": "/traps/passwords/bytes",
}
MODELS: dict[str, type[SignUp]] = {
    "str": SignUp,
    "SecretStr": Secret,
    "hide_input_in_errors": Hidden,
}


def traced() -> dict[str, dict[str, str]]:
    """Whether the traceback has the password where the model is built in a route, by model."""
    return {
        f"traceback, {row}": {name: _traced(model, body) for name, model in MODELS.items()}
        for row, (_, body) in ROWS.items()
    }


def _traced(model: type[SignUp], body: bytes) -> str:
    try:
        model.model_validate_json(body)
    except ValidationError as error:
        text = "".join(traceback.format_exception(error))
        return "echoed" if PASSWORD.decode() in text else "kept"
    raise AssertionError("the body is valid")
