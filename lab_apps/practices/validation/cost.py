"""What validation costs: work to be timed, and a route for long lists, without a database.

Each `…ing` function prepares and returns a function without arguments: one validation. The three
apps at the end take one request at a time. `uvicorn lab_apps.practices.validation.cost:app` has the
route for lists.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeAlias

from fastapi import FastAPI
from pydantic import StringConstraints, TypeAdapter, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lab_apps.practices.validation import by_hand
from lab_apps.practices.validation.quiz import COMPLETE
from lab_apps.practices.validation.schemas import Profile

Kind: TypeAlias = Literal["valid", "one wrong", "all wrong"]
How: TypeAlias = Literal["Pydantic", "Pydantic, bytes", "Pydantic, e-mail by pattern", "json.loads"]

DOCUMENTS: dict[Kind, dict[str, Any]] = {
    "valid": COMPLETE,
    "one wrong": COMPLETE | {"age": 17},
    "all wrong": {name: [] for name in COMPLETE},
}


class ByPattern(Profile):
    """The profile with an e-mail address that is checked as `by_hand` does."""

    email: Annotated[
        str,
        StringConstraints(
            pattern=rf"^(?:{by_hand.EMAIL.pattern})$", max_length=by_hand.EMAIL_LENGTH
        ),
    ]


def body(kind: Kind = "valid", number: int = 0) -> bytes:
    """A profile as JSON, or a list of so many."""
    document = DOCUMENTS[kind]
    return json.dumps([document] * number if number else document).encode()


def validating(how: How, kind: Kind = "valid", number: int = 0) -> Callable[[], object]:
    """The bytes of a body to a model, or a list of models, or to the errors that FastAPI wants.

    "Pydantic" is what FastAPI does: `json.loads`, then the model from its objects.
    """
    content = body(kind, number)
    if how == "json.loads":
        return lambda: json.loads(content)
    model: Any = ByPattern if how == "Pydantic, e-mail by pattern" else Profile
    adapter: TypeAdapter[Any] = TypeAdapter(list[model] if number else model)

    def validate() -> object:
        try:
            if how == "Pydantic, bytes":
                return adapter.validate_json(content)
            return adapter.validate_python(json.loads(content), from_attributes=True)
        except ValidationError as error:
            return error.errors(include_url=False)

    return validate


def checking(kind: Kind = "valid") -> Callable[[], object]:
    """The same by hand."""
    content = body(kind)
    return lambda: by_hand.check(content)


app = FastAPI(title="Practice 2: cost")


@app.post("/profiles")
async def profiles(body: list[Profile]) -> dict[str, int]:
    """How many were in the list, which is validated on the event loop."""
    return {"value": len(body)}


@app.get("/victim")
async def victim() -> dict[str, str]:
    """Somebody else's request."""
    return {"victim": "served"}


async def declared(_: Profile) -> Response:
    """204 for a valid profile."""
    return Response(status_code=204)


async def read(request: Request) -> Response:
    """204 for any body."""
    await request.body()
    return Response(status_code=204)


async def checked(request: Request) -> Response:
    """204 for a valid profile, 422 with its problems for another."""
    found = by_hand.check(await request.body())
    if isinstance(found, by_hand.Profile):
        return Response(status_code=204)
    problems = [{"field": problem.field, "reason": problem.reason} for problem in found]
    return by_hand.json_response({"detail": problems}, 422)


def app_of(endpoint: Callable[..., Any]) -> FastAPI:
    """A FastAPI app with one route, `POST /`."""
    one = FastAPI()
    one.post("/")(endpoint)
    return one


# The same profile three ways, to be timed without a server.
with_pydantic, nothing_declared = app_of(declared), app_of(read)
with_starlette = Starlette(routes=[Route("/", checked, methods=["POST"])])
