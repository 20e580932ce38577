"""The tree of a route's dependencies and their calls: as declared, as resolved, put back."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from time import perf_counter_ns
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException
from fastapi.security import APIKeyHeader

from lab_apps.instruments.dependency_calls import Answers, Call, Node, recorded, tree
from lab_apps.instruments.server import serve


def sync_leaf() -> int:
    return 1


async def leaf(value: Annotated[int, Depends(sync_leaf)]) -> int:
    return value + 1


async def yielding(value: Annotated[int, Depends(leaf)]) -> AsyncIterator[int]:
    yield value + 1


async def refusing(value: Annotated[int, Depends(leaf)]) -> None:
    raise HTTPException(418, f"{value}")


def sync_yielding() -> Iterator[int]:
    yield 1


HEADER = APIKeyHeader(name="key", auto_error=False)


def create_app() -> FastAPI:
    router = APIRouter(prefix="/inner")

    @router.get("/route")
    async def route(
        one: Annotated[int, Depends(yielding)],
        two: Annotated[int, Depends(leaf)],
        three: Annotated[int, Depends(leaf, use_cache=False)],
        key: Annotated[str | None, Depends(HEADER)],
    ) -> list[Any]:
        return [one, two, three, key]

    app = FastAPI()
    app.include_router(router, prefix="/outer")
    app.get("/refused", dependencies=[Depends(refusing)])(leaf)
    app.get("/sync", dependencies=[Depends(sync_yielding)])(leaf)
    return app


def names(node: Node) -> list[str]:
    return [one.name for one in node.walk()]


def test_tree_is_the_declaration() -> None:
    root = tree(create_app(), "/outer/inner/route")
    above = ["route", "yielding", "leaf", "sync_leaf"]
    assert names(root) == [*above, "leaf", "sync_leaf", "leaf", "sync_leaf", "APIKeyHeader"]
    assert root.sites("leaf") == root.sites("sync_leaf") == 3
    assert root.sites("nobody") == 0


def test_unknown_route_is_named() -> None:
    with pytest.raises(ValueError, match="no route '/nowhere'"):
        tree(create_app(), "/nowhere")


def functions(root: Node) -> list[Callable[..., Any] | None]:
    return [node.dependant.call for node in root.walk()]


def one_request(path: str, status: int, answer: object) -> tuple[list[Call], Node]:
    app = create_app()
    root = tree(app, path)
    before = functions(root)
    with serve(app) as server:
        with recorded(root) as calls:
            response = httpx.get(server.url + path, headers={"key": "k"})
        assert functions(root) == before
        seen = list(calls)
        again = httpx.get(server.url + path, headers={"key": "k"})
    assert calls == seen  # nothing is recorded after the block
    for one in (response, again):
        assert (one.status_code, one.json()) == (status, answer)
    return calls, root


def test_calls_of_a_request() -> None:
    calls, _ = one_request("/outer/inner/route", 200, [3, 2, 2, "k"])
    assert [call.name for call in calls] == [
        "sync_leaf",
        "leaf",
        "yielding",
        "leaf",  # the one without the cache; the cached one isn't called again
        "APIKeyHeader",
    ]
    ends = [call.ended_ns for call in calls]
    assert ends == sorted(ends)
    for before, after in itertools.pairwise(calls):
        assert before.begun_ns <= before.ended_ns <= after.begun_ns  # one after another


def test_a_call_that_raises_is_recorded() -> None:
    calls, _ = one_request("/refused", 418, {"detail": "2"})
    assert [call.name for call in calls] == ["sync_leaf", "leaf", "refusing"]


def test_sync_generator_is_refused_and_nothing_changed() -> None:
    root = tree(create_app(), "/sync")
    before = functions(root)
    with pytest.raises(ValueError, match="sync_yielding is a generator"), recorded(root):
        pass
    assert functions(root) == before


@pytest.mark.parametrize("parts", [1, 3])
def test_the_end_of_an_answer_is_noted(parts: int) -> None:
    """Not its start, and not the parts of a body that has more."""
    noted: list[bool] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for left in reversed(range(parts)):
            await send({"type": "http.response.body", "body": b"1", "more_body": left > 0})

    async def send(_message: Any) -> None:
        noted.append(answers.sent_ns > 0)

    answers = Answers(app)
    asyncio.run(answers({"type": "http"}, None, send))
    assert noted == [False] * parts + [True]


def test_what_is_left_after_the_answer_and_before_it() -> None:
    """A dependency's exit comes after the answer, with the function's scope before it."""
    left: dict[str, int] = {}

    async def by_request() -> AsyncIterator[None]:
        yield
        left["request"] = perf_counter_ns()

    async def by_function() -> AsyncIterator[None]:
        yield
        left["function"] = perf_counter_ns()

    app = FastAPI()
    both = [Depends(by_request), Depends(by_function, scope="function")]
    app.get("/both", dependencies=both)(sync_leaf)
    answers = Answers(app)
    with serve(answers) as server:
        assert httpx.get(f"{server.url}/both").json() == 1
    assert left["function"] < answers.sent_ns < left["request"]
