"""What is called once in a request and what is called again: every case a list of dependencies."""

# ruff: noqa: ARG001 - some dependencies are there for what they do, not for what they give

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Coroutine
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Security
from fastapi.params import Depends as Dependency
from fastapi.security import SecurityScopes
from pydantic import AfterValidator

calls: ContextVar[list[str]] = ContextVar("calls")


async def start() -> None:
    """The first dependency of each route here: nothing has been called yet."""
    calls.set([])


router = APIRouter(prefix="/cache", dependencies=[Depends(start)])


async def call() -> None:
    """A dependency that counts its calls."""
    calls.get().append("call")


async def call_yielding() -> AsyncIterator[None]:
    """The same with a `yield`."""
    calls.get().append("call")
    yield


def made() -> Callable[[], Coroutine[Any, Any, None]]:
    """Make a dependency that counts its calls: a factory."""

    async def dependency() -> None:
        calls.get().append("call")

    return dependency


class Instance:
    """A callable object; no two are equal."""

    async def __call__(self) -> None:
        """Count a call."""
        calls.get().append("call")

    async def method(self) -> None:
        """Count a call."""
        calls.get().append("call")


@dataclass(frozen=True)
class Equal(Instance):
    """A callable object equal to every other of its arguments: it has __eq__ and __hash__."""

    limit: int


class Made:
    """A class as a dependency: calling it makes an instance."""

    def __init__(self) -> None:
        calls.get().append("call")


async def needs_call(_: Annotated[None, Depends(call)]) -> None:
    """A dependency with the counting one beneath it."""


async def reads_scopes(scopes: SecurityScopes) -> None:
    """A dependency that is told the scopes asked for, and counts its calls."""
    calls.get().append("call")


async def needs_scopes(_: Annotated[None, Depends(reads_scopes)]) -> None:
    """A dependency with that one beneath it."""


def cases() -> dict[str, list[Dependency]]:
    """Each case by name: what one route depends on."""
    kept, instance = made(), Instance()
    return {
        "used three times": [Depends(call)] * 3,
        "beneath another too": [Depends(needs_call), Depends(call)],
        "class twice": [Depends(Made), Depends(Made)],
        "factory, its result kept": [Depends(kept), Depends(kept)],
        "method of one instance": [Depends(instance.method), Depends(instance.method)],
        "instances with __eq__ and __hash__": [Depends(Equal(1)), Depends(Equal(1))],
        "Security without scopes, and Depends": [Security(call), Depends(call)],
        "beneath Security with scopes": [Security(needs_call, scopes=["a"]), Depends(call)],
        "use_cache=False in the decorator": [
            Depends(call, use_cache=False),
            Depends(call, use_cache=False),
        ],
        "two sets of scopes, and none": [
            Security(call, scopes=["a"]),
            Security(call, scopes=["b"]),
            Depends(call),
        ],
        "reads scopes beneath two sets": [
            Security(needs_scopes, scopes=["a"]),
            Security(needs_scopes, scopes=["b"]),
        ],
        "factory called twice": [Depends(made()), Depends(made())],
        "equal lambdas": [Depends(lambda: Made()), Depends(lambda: Made())],
        "equal partials": [Depends(functools.partial(call)), Depends(functools.partial(call))],
        "instances": [Depends(Instance()), Depends(Instance())],
        "scope function and request": [
            Depends(call_yielding, scope="function"),
            Depends(call_yielding, scope="request"),
        ],
    }


async def count() -> int:
    """The route of all cases: how many calls its dependencies made."""
    return len(calls.get())


for name, dependencies in cases().items():
    router.add_api_route(f"/{name}", count, dependencies=dependencies)

Aliased = Annotated[None, Depends(call)]


@router.get("/decorator, parameter and alias", dependencies=[Depends(call)])
async def decorator(_: Annotated[None, Depends(call)], aliased: Aliased) -> int:
    """The decorator's dependencies share the parameters' cache; `call` returns None."""
    return len(calls.get())


@router.get("/use_cache=False twice, and once plain")
async def uncached(
    one: Annotated[None, Depends(call, use_cache=False)],
    two: Annotated[None, Depends(call, use_cache=False)],
    three: Aliased,
) -> int:
    """The last of them takes what the cache has from the others."""
    return len(calls.get())


async def needs_uncached(_: Annotated[None, Depends(call, use_cache=False)]) -> None:
    """A dependency that wants its own to be called anew."""


@router.get("/uncached beneath a cached one, used twice")
async def beneath(
    one: Annotated[None, Depends(needs_uncached)], two: Annotated[None, Depends(needs_uncached)]
) -> int:
    """What is beneath is solved before the cache is looked at, and thrown away the second time."""
    return len(calls.get())


@router.get("/called in the body")
async def in_body(_: Aliased) -> int:
    """A call that FastAPI doesn't make knows no cache."""
    await call()
    return len(calls.get())


def read(value: int) -> int:
    """Count how often a parameter is read."""
    calls.get().append("read")
    return value


async def reading(page: Annotated[int, AfterValidator(read)] = 1) -> None:
    """A dependency with a parameter."""
    calls.get().append("call")


@router.get("/parameters")
async def parameters(
    one: Annotated[None, Depends(reading)],
    two: Annotated[None, Depends(reading)],
    three: Annotated[None, Depends(reading)],
) -> dict[str, int]:
    """Three uses of it: how often it is called, and how often its parameter is read."""
    return {name: calls.get().count(name) for name in ("call", "read")}
