"""What goes to AnyIO's thread pool: counted, not timed."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import anyio.to_thread


@contextlib.contextmanager
def pool_hops() -> Iterator[list[str]]:
    """Yield a list that grows by the name of each function handed to the pool in the block.

    Starlette, FastAPI and AnyIO's own files reach the pool by one function, looked up at each call:
    `anyio.to_thread.run_sync`. It is wrapped for the length of the block, in this process.
    """
    names: list[str] = []
    original = anyio.to_thread.run_sync

    @functools.wraps(original)
    async def counted(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        names.append(_name(function))
        return await original(function, *args, **options)

    anyio.to_thread.run_sync = counted  # type: ignore[assignment]
    try:
        yield names
    finally:
        anyio.to_thread.run_sync = original


def _name(function: Callable[..., Any]) -> str:
    """Its qualified name, without the wrapping of `functools.partial`."""
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__qualname__", type(function).__name__)
