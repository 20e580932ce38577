"""Large bodies arrive whole; witnesses say where; what the prediction times is what routes do."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import Response
from specimens import LOOPS, spoiled

from lab_apps.instruments.server import App, serve
from lab_apps.practices import async_routes
from lab_apps.practices.async_routes import bodies

LOOP, THREAD = "event loop", "worker thread"
COUNTS = (0, 1, 10_000)


def check_witnesses(app: App, loop: Any = "auto") -> None:
    """Where a value is validated and where it is serialised, by form."""
    with serve(app, loop=loop) as server, httpx.Client(base_url=f"{server.url}/rows") as client:
        received = client.post("/witness", json=bodies.UNSEEN).json()
        saw = {form: client.get(f"/witness/{form}").json() for form in FORMS}
    assert received == {"validated_on": LOOP, "ran_on": THREAD}
    assert saw == {
        "plain": {"validated_on": THREAD, "serialized_on": LOOP},
        "model": {"validated_on": THREAD, "serialized_on": LOOP},
        "response": {"validated_on": THREAD, "serialized_on": THREAD},
    }


FORMS = ("plain", "model", "response")


@pytest.mark.parametrize("loop", LOOPS)
def test_witnesses(loop: Any) -> None:
    check_witnesses(async_routes.app, loop)


async def response_on_the_loop() -> Response:
    return bodies.witness_response()


@pytest.mark.parametrize(
    ("form", "broken"),
    [
        ("response", response_on_the_loop),
        ("response", bodies.witness_plain),
        ("plain", bodies.witness_response),
    ],
)
def test_check_sees_other_witnesses(form: str, broken: Callable[..., Any]) -> None:
    with pytest.raises(AssertionError):
        check_witnesses(spoiled(f"/rows/witness/{form}", broken))


def check_bodies(app: App) -> None:
    """What the routes answer is what `work_*` makes, byte for byte, and the rows that went in."""
    work: dict[str, Callable[[int], bytes]] = {
        "plain": bodies.work_plain,
        "model": bodies.work_model,
        "response": lambda count: bodies.work_response(count).encode(),
    }
    with serve(app) as server, httpx.Client(base_url=server.url, timeout=20) as client:
        for count in COUNTS:
            rows = [bodies.ROW] * count
            for form, made in work.items():
                answer = client.get(f"/rows/{form}", params={"count": count})
                assert answer.headers["content-type"] == "application/json"
                assert answer.content == made(count)
                assert answer.json() == rows
            assert client.post("/rows", json=rows).json() == {"rows": count}
            received = bodies.work_receive(json.dumps(rows).encode())
            assert received == [bodies.Row.model_validate(row) for row in rows]


def test_bodies() -> None:
    check_bodies(async_routes.app)


def one_less(count: int) -> list[dict[str, Any]]:
    return bodies.plain(count)[1:]


def other_bytes(count: int) -> Response:
    spaced = json.dumps([bodies.ROW] * count)
    return Response(spaced, media_type="application/json")


def rows_of_none(rows: list[dict[str, Any]]) -> dict[str, int]:
    return {"rows": min(len(rows), 9999)}


@pytest.mark.parametrize(
    ("path", "broken", "method"),
    [("/plain", one_less, "GET"), ("/plain", other_bytes, "GET"), ("", rows_of_none, "POST")],
)
def test_check_sees_other_bodies(path: str, broken: Callable[..., Any], method: str) -> None:
    with pytest.raises(AssertionError):
        check_bodies(spoiled(f"/rows{path}", broken, method))


def test_default_count_is_10_000() -> None:
    """As the pages say; a row is 76 bytes of JSON, with its comma 77."""
    with serve(async_routes.app) as server, httpx.Client(base_url=f"{server.url}/rows") as client:
        sizes = {form: len(client.get(f"/{form}").content) for form in FORMS}
    assert sizes == dict.fromkeys(FORMS, 770_001)


@pytest.mark.parametrize(
    "rows", [{}, [{}], [bodies.ROW, {**bodies.ROW, "tags": [1]}], [{**bodies.ROW, "id": "x"}]]
)
def test_wrong_rows_are_refused(rows: Any) -> None:
    with serve(async_routes.app) as server:
        assert httpx.post(f"{server.url}/rows", json=rows).status_code == 422
