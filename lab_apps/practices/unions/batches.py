"""Bodies with many elements of a union: `POST /batches/{name}`, and what bounds their refusal."""

import json
from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import Field, create_model

from lab_apps.practices.unions import members

FIRST = 10  # errors in an answer that is cut
MOST = 100  # elements, where their number is bounded

ID = "6f1c0d6e-90a4-4cb6-8d5c-3c1f5d1f7a10"


def many(element: Any) -> Any:
    """A list of these."""
    return list[element]


MANY = many(members.of("smart", 32))

# The kind of element by name, and one that is valid; of models the last member of the union.
ELEMENTS: Mapping[str, tuple[Any, Any]] = {
    "int": (int, 1),
    "int | str": (int | str, "a"),
    "UUID | str": (UUID | str, ID),
    "one model": (members.member(31), members.content(31)),
    "discriminated, 32": (members.of("discriminated", 32), members.content(31)),
    "smart, 2": (members.of("smart", 2), members.content(1)),
    "smart, 8": (members.of("smart", 8), members.content(7)),
    "smart, 32": (members.of("smart", 32), members.content(31)),
    "left to right, 32": (members.of("left-to-right", 32), members.content(31)),
}
BOUNDED = {
    "fail_fast": Annotated[MANY, Field(fail_fast=True)],
    "max_length": Annotated[MANY, Field(max_length=MOST)],
}

router = APIRouter()
cutting = FastAPI()


@cutting.exception_handler(RequestValidationError)
async def first_errors(_: Request, error: RequestValidationError) -> JSONResponse:
    """Answer with the first ten errors, without the values that were refused."""
    first = error.errors()[:FIRST]
    detail = [{name: one[name] for name in ("type", "loc", "msg")} for one in first]
    return JSONResponse({"detail": detail}, 422)


def path(name: str) -> str:
    """The path of the endpoint of that name."""
    for sign in (", ", " | ", " "):
        name = name.replace(sign, "-")
    return f"/batches/{name}"


def valid(name: str, count: int) -> bytes:
    """A body with so many valid elements."""
    return json.dumps({"items": [ELEMENTS[name][1]] * count}).encode()


def large(size: int) -> bytes:
    """A body with one element that is no model, with a text of so many bytes in it."""
    return b'{"items":[{"a":"%b"}]}' % (b"x" * size)


def invalid(count: int, element: bytes = b"0") -> bytes:
    """A body with so many elements of one byte, which are no model."""
    return b'{"items":[%b]}' % b",".join([element] * count)


def add(to: APIRouter, name: str, items: Any) -> None:
    """Add the endpoint: it answers with the number of elements."""

    model = create_model("Batch", items=(items, ...))

    @to.post(path(name))
    async def take(body: model) -> dict[str, int]:  # type: ignore[valid-type]
        return {"items": len(body.items)}  # type: ignore[attr-defined]


@router.get("/victim")
async def victim() -> dict[str, str]:
    """Somebody else's request."""
    return {"victim": "served"}


for _name, (_type, _) in ELEMENTS.items():
    add(router, _name, many(_type))
for _name, _items in BOUNDED.items():
    add(router, _name, _items)
add(cutting.router, "smart, 32", MANY)
