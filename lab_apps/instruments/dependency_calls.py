"""What a FastAPI route depends on, as a tree, each call that one request makes of it, and its end.

The end is that of the answer: what a dependency does when it is left comes after it, or before.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts

from lab_apps.instruments.app import App, load

now_ns = time.perf_counter_ns


@dataclass(frozen=True)
class Node:
    """A function at one place of the tree, and what it depends on in the order of resolution.

    A function that is used at several places is there as often. `dependant` is FastAPI's own.
    """

    name: str
    dependant: Dependant
    needs: tuple[Node, ...] = ()

    def walk(self) -> Iterator[Node]:
        """The node itself, then all beneath it."""
        yield self
        for node in self.needs:
            yield from node.walk()

    def sites(self, name: str) -> int:
        """At how many places of the tree that function is."""
        return sum(node.name == name for node in self.walk())


@dataclass(frozen=True)
class Call:
    """One call of a dependency, in ns of `perf_counter_ns`; one with a `yield` ends there."""

    name: str
    begun_ns: int
    ended_ns: int


def tree(app: FastAPI, path: str) -> Node:
    """The route of that path, as it is declared, and its dependencies.

    Raises ValueError where the app has no such route.
    """
    for route in iter_route_contexts(app.routes):
        if route.path == path:
            return _node(route.dependant)
    raise ValueError(f"the app has no route {path!r}")


def _node(dependant: Dependant) -> Node:
    function = dependant.call
    name = getattr(function, "__name__", type(function).__name__)
    return Node(name, dependant, tuple(map(_node, dependant.dependencies)))


@contextlib.contextmanager
def recorded(root: Node) -> Iterator[list[Call]]:
    """Yield a list that grows by each call of a dependency of `root`, in the order of their ends.

    The functions are wrapped where FastAPI keeps them, one wrapper for each, so that the cache
    takes them for the same or for different ones as before, and put back after the block.
    `app.dependency_overrides` would do it too, but then FastAPI looks at all parameters anew in
    every request. Requests are not told apart. Raises ValueError for a generator that isn't async.
    """
    calls: list[Call] = []
    nodes = list(root.walk())[1:]
    originals = [node.dependant.call for node in nodes]
    wrappers = {node.dependant.call: _noted(node, calls) for node in nodes}
    for node in nodes:
        node.dependant.call = wrappers[node.dependant.call]
    try:
        yield calls
    finally:
        for node, original in zip(nodes, originals, strict=True):
            node.dependant.call = original


def _noted(node: Node, calls: list[Call]) -> Callable[..., Any]:
    function: Any = node.dependant.call

    def note(begun_ns: int) -> None:
        calls.append(Call(node.name, begun_ns, now_ns()))

    @functools.wraps(function)
    async def coroutine(*args: Any, **values: Any) -> Any:
        begun_ns = now_ns()
        try:
            return await function(*args, **values)
        finally:
            note(begun_ns)

    @functools.wraps(function)
    async def generator(*args: Any, **values: Any) -> AsyncIterator[Any]:
        begun_ns = now_ns()
        async with contextlib.asynccontextmanager(function)(*args, **values) as value:
            note(begun_ns)
            yield value

    @functools.wraps(function)
    def plain(*args: Any, **values: Any) -> Any:
        begun_ns = now_ns()
        try:
            return function(*args, **values)
        finally:
            note(begun_ns)

    if inspect.isasyncgenfunction(function):
        return generator
    if inspect.isgeneratorfunction(function):
        raise ValueError(f"{node.name} is a generator that isn't async, which is not noted")
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(function.__call__):
        return coroutine
    return plain


class Answers:
    """An ASGI app around another; `sent_ns` is when it last gave the end of an answer to be sent.

    In ns of `perf_counter_ns`, 0 before the first. Requests are not told apart.
    """

    def __init__(self, app: App) -> None:
        self._app = load(app)
        self.sent_ns = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass it on."""

        async def noted(message: Any) -> None:
            if message["type"] == "http.response.body" and not message.get("more_body"):
                self.sent_ns = now_ns()
            await send(message)

        await self._app(scope, receive, noted)
