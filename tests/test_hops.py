"""What goes to the thread pool is counted, each hop by its name, and nothing stays wrapped."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TypeAlias

import anyio.to_thread
import httpx
import pytest
from fastapi import Depends, FastAPI
from targets import OwnError

from lab_apps.instruments import hops
from lab_apps.instruments.hops import pool_hops
from lab_apps.instruments.server import serve

Hops: TypeAlias = Callable[[], AbstractContextManager[list[str]]]
ORIGINAL = anyio.to_thread.run_sync


def add(a: int, b: int, c: int = 0) -> int:
    return a + b + c


class Callee:
    def __call__(self) -> str:
        return "called"

    def method(self) -> str:
        return "method"


async def five_hops() -> list[object]:
    run = anyio.to_thread.run_sync
    return [
        await run(add, 1, 2),
        await run(functools.partial(add, 1), 5),
        await run(functools.partial(functools.partial(add, 1), 2, c=3), abandon_on_cancel=True),
        await run(Callee()),
        await run(Callee().method),
    ]


def check_hops(pool_hops: Hops) -> None:
    """Every function handed over in the block, in order, by its own name; none after it."""
    try:
        with pool_hops() as names:
            assert anyio.run(five_hops) == [3, 6, 6, "called", "method"]
        assert names == ["add", "add", "add", "Callee", "Callee.method"]
        assert anyio.to_thread.run_sync is ORIGINAL
        assert anyio.run(five_hops)[0] == 3
        assert len(names) == 5
        with pytest.raises(OwnError), pool_hops() as names:
            raise OwnError
        assert names == []
        assert anyio.to_thread.run_sync is ORIGINAL
    finally:
        anyio.to_thread.run_sync = ORIGINAL


def test_hops() -> None:
    check_hops(pool_hops)


kept: list[AbstractContextManager[list[str]]] = []  # one that nobody keeps ends, and restores


@contextlib.contextmanager
def without_finally() -> Iterator[list[str]]:
    kept.append(pool_hops())
    yield kept[-1].__enter__()
    kept[-1].__exit__(None, None, None)


@contextlib.contextmanager
def for_ever() -> Iterator[list[str]]:
    kept.append(pool_hops())
    yield kept[-1].__enter__()


@contextlib.contextmanager
def each_name_once() -> Iterator[list[str]]:
    with pool_hops() as names:
        yield names
    names[:] = dict.fromkeys(names)


@pytest.mark.parametrize("broken", [without_finally, for_ever, each_name_once])
def test_check_sees_broken_hops(broken: Hops) -> None:
    with pytest.raises(AssertionError):
        check_hops(broken)


def test_check_sees_names_of_wrappings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hops, "_name", lambda function: type(function).__name__)
    with pytest.raises(AssertionError):
        check_hops(pool_hops)


def test_failing_function_is_a_hop_too() -> None:
    def fails() -> None:
        raise OwnError("mine")

    with pool_hops() as names, pytest.raises(OwnError, match="mine"):
        anyio.run(anyio.to_thread.run_sync, fails)
    assert names == ["test_failing_function_is_a_hop_too.<locals>.fails"]


def test_blocks_within_blocks() -> None:
    with pool_hops() as outer:
        with pool_hops() as inner:
            anyio.run(five_hops)
        anyio.run(five_hops)
    assert (len(outer), len(inner)) == (10, 5)
    assert anyio.to_thread.run_sync is ORIGINAL


app = FastAPI()


def need() -> str:
    return "need"


async def need_async() -> str:
    return "need"


@app.get("/async", response_model=None)
async def in_async() -> str:
    return "async"


@app.get("/def", response_model=None)
def in_def() -> str:
    return "def"


@app.get("/needs", response_model=None, dependencies=[Depends(need), Depends(need_async)])
def with_needs() -> str:
    return "needs"


@pytest.mark.parametrize(
    ("path", "hops", "first"), [("async", 0, []), ("def", 1, []), ("needs", 2, ["need"])]
)
def test_hops_of_routes(path: str, hops: int, first: list[str]) -> None:
    """Of a server in this process. The route comes last, by a name that is FastAPI's business."""
    with serve(app) as server, pool_hops() as names:
        assert httpx.get(f"{server.url}/{path}").json() == path
    assert len(names) == hops
    assert names[: len(first)] == first
