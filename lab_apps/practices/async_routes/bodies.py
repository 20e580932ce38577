"""Large answers and large requests of `def` routes: what still runs on the event loop."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Response
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse
from pydantic import BaseModel, TypeAdapter, field_serializer, field_validator

from lab_apps.practices.async_routes.pings import ran_on

router = APIRouter(prefix="/rows")

ROW = {"id": 12345, "name": "a row of some table", "price": 19.99, "tags": ["one", "two"]}

COMPACT = (",", ":")  # as FastAPI writes JSON


class Row(BaseModel):
    """A row of some table; 76 bytes of JSON."""

    id: int
    name: str
    price: float
    tags: list[str]


@router.get("/plain", response_model=None)
def plain(count: int = 10_000) -> list[dict[str, Any]]:
    """No response model: FastAPI walks through the rows on the event loop, then encodes them."""
    return [ROW] * count


@router.get("/model")
def model(count: int = 10_000) -> list[Row]:
    """A response model: validated in a thread, serialised on the event loop."""
    return [ROW] * count  # type: ignore[list-item]


@router.get("/response", response_model=None)
def response(count: int = 10_000) -> Response:
    """A `Response` built in the route: nothing is left to do on the event loop but to send it."""
    return Response(work_response(count), media_type="application/json")


@router.post("", response_model=None)
def receive(rows: list[Row]) -> dict[str, int]:
    """A body: parsed and validated on the event loop before the route gets its thread."""
    return {"rows": len(rows)}


ROWS = TypeAdapter(list[Row])


def work_plain(count: int) -> bytes:
    """What FastAPI does with the answer of `plain`."""
    return bytes(JSONResponse(jsonable_encoder([ROW] * count)).body)


def work_model(count: int) -> bytes:
    """What FastAPI does with the answer of `model`."""
    return ROWS.dump_json(ROWS.validate_python([ROW] * count))


def work_response(count: int) -> str:
    """What `response` does."""
    return json.dumps([ROW] * count, separators=COMPACT)


def work_receive(body: bytes) -> list[Row]:
    """What FastAPI does with the body before it calls `receive`."""
    return ROWS.validate_python(json.loads(body))


class Witness(BaseModel):
    """Says where it was validated and where it was serialised."""

    validated_on: str
    serialized_on: str

    @field_validator("validated_on")
    @classmethod
    def _validated(cls, _: str) -> str:
        return ran_on()

    @field_serializer("serialized_on")
    def _serialized(self, _: str) -> str:
        return ran_on()


UNSEEN = {"validated_on": "", "serialized_on": ""}


@router.get("/witness/plain", response_model=None)
def witness_plain() -> Witness:
    """As `plain`."""
    return Witness.model_validate(UNSEEN)


@router.get("/witness/model", response_model=Witness)
def witness_model() -> dict[str, str]:
    """As `model`."""
    return UNSEEN


@router.get("/witness/response", response_model=None)
def witness_response() -> Response:
    """As `response`."""
    witness = Witness.model_validate(UNSEEN)
    return Response(witness.model_dump_json(), media_type="application/json")


@router.post("/witness", response_model=None)
def witness_receive(witness: Witness) -> dict[str, str]:
    """As `receive`; the route itself runs in a thread."""
    return {"validated_on": witness.validated_on, "ran_on": ran_on()}
