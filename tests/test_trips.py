"""What each route of `hops` hands to the thread pool, by name, on both event loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi.responses import StreamingResponse
from specimens import LOOPS, spoiled

from lab_apps.instruments.hops import pool_hops
from lab_apps.instruments.server import App, serve
from lab_apps.practices import async_routes
from lab_apps.practices.async_routes import hops

TRIPS = {
    "async": 0,
    "async-model": 0,
    "async-dependency": 0,
    "sync-dependency": 1,
    "class-dependency": 1,
    "yield-dependency": 2,
    "def": 1,
    "def-model": 2,
    "stream": 3,
}
BODIES = {"async-model": b'{"done":true}', "def-model": b'{"done":true}', "stream": b"onetwo"}


def trips(app: App, loop: Any = "auto") -> dict[str, list[str]]:
    """The functions handed over by each route and by two uploads, every answer checked."""
    found = {}
    for name in TRIPS:
        found[name], answer = during(app, loop, name)
        assert (answer.status_code, answer.content) == (200, BODIES.get(name, b"null"))
    for size in (2**20, 2**20 + 1):
        files = {"file": bytes(size)}
        found[f"upload of {size}"], answer = during(app, loop, "upload", files)
        assert (answer.status_code, answer.content) == (200, b"null")
    return found


def during(
    app: App, loop: Any, name: str, files: dict[str, bytes] | None = None
) -> tuple[list[str], httpx.Response]:
    """What is handed over until the server has ended: some of it comes after the answer."""
    with pool_hops() as names, serve(app, loop=loop) as server:
        method = "POST" if files else "GET"
        answer = httpx.request(method, f"{server.url}/hops/{name}", files=files)
    return names, answer


def check_trips(app: App, loop: Any = "auto") -> None:
    """How many, and for those that aren't FastAPI's own business also what."""
    found = trips(app, loop)
    numbers = {name: len(names) for name, names in found.items()}
    assert numbers == {**TRIPS, f"upload of {2**20}": 0, f"upload of {2**20 + 1}": 4}
    assert found["sync-dependency"] == ["settings"]
    assert found["class-dependency"] == ["Page"]
    steps = [name.rpartition(".")[2] for name in found[f"upload of {2**20 + 1}"]]
    assert steps == ["write", "seek", "read", "close"]


@pytest.mark.parametrize("loop", LOOPS)
def test_trips(loop: Any) -> None:
    check_trips(async_routes.app, loop)


async def asynchronous() -> None:
    pass


async def pieces() -> StreamingResponse:
    return StreamingResponse(iter(["onetwo"]))


@pytest.mark.parametrize(
    ("path", "broken", "method"),
    [
        ("def", asynchronous, "GET"),
        ("async", hops.in_def, "GET"),
        ("stream", pieces, "GET"),
        ("yield-dependency", hops.sync_dependency, "GET"),
        ("upload", asynchronous, "POST"),
    ],
)
def test_check_sees_other_trips(path: str, broken: Callable[..., Any], method: str) -> None:
    with pytest.raises(AssertionError):
        check_trips(spoiled(f"/hops/{path}", broken, method))


@pytest.mark.parametrize("loop", LOOPS)
def test_trips_of_a_file(loop: Any) -> None:
    """1 MiB: its size, its opening, 16 pieces of 64 KiB and the end, its closing."""
    names, answer = during(async_routes.app, loop, "file")
    assert (answer.status_code, answer.content) == (200, bytes(2**20))
    steps = [name.rpartition(".")[2] for name in names]
    assert steps == ["stat", "open", *["read"] * 17, "close"]
