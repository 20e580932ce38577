"""Who shares the thread pool: everything that holds a thread, and everything that needs one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Annotated

import anyio
from fastapi import APIRouter, BackgroundTasks, Depends, File, UploadFile
from fastapi.responses import StreamingResponse

router = APIRouter()

HELD = {"held": "yes"}


@router.get("/to-thread-ping", response_model=None)
async def to_thread_ping(hold_ms: float = 50) -> dict[str, str]:
    """A blocking call in the event loop's own pool: min(32, cores + 4) threads, not 40."""
    await asyncio.to_thread(time.sleep, hold_ms / 1e3)
    return HELD


@router.get("/own-limiter-ping", response_model=None)
async def own_limiter_ping(hold_ms: float = 50) -> dict[str, str]:
    """AnyIO's threads, counted by a limiter of the route's own."""
    await anyio.to_thread.run_sync(time.sleep, hold_ms / 1e3, limiter=LIMITER)
    return HELD


LIMITER = anyio.CapacityLimiter(40)


@router.get("/hold/route", response_model=None)
def hold_route(hold_ms: float = 350) -> dict[str, str]:
    """A `def` route holds a thread until it returns."""
    time.sleep(hold_ms / 1e3)
    return HELD


def slow_dependency(hold_ms: float = 350) -> None:
    """A `def` dependency that blocks."""
    time.sleep(hold_ms / 1e3)


@router.get("/hold/dependency", response_model=None)
async def hold_dependency(_: Annotated[None, Depends(slow_dependency)]) -> dict[str, str]:
    """An `async` route whose dependency holds a thread."""
    return HELD


@router.get("/hold/background", response_model=None)
async def hold_background(tasks: BackgroundTasks, hold_ms: float = 350) -> dict[str, str]:
    """Answers at once; its task holds a thread afterwards."""
    tasks.add_task(time.sleep, hold_ms / 1e3)
    return HELD


@router.get("/hold/stream", response_model=None)
async def hold_stream(hold_ms: float = 350) -> StreamingResponse:
    """A stream made by a `def` generator: a thread while it waits for its next piece."""

    def pieces() -> Iterator[str]:
        time.sleep(hold_ms / 1e3)
        yield '{"held":"yes"}'

    return StreamingResponse(pieces(), media_type="application/json")


def dependency() -> str:
    """A `def` dependency with no work to speak of."""
    return "served"


@router.get("/victim-dependency", response_model=None)
async def victim_dependency(served: Annotated[str, Depends(dependency)]) -> dict[str, str]:
    """An `async` route that does nothing, with a `def` dependency that does nothing."""
    return {"victim": served}


@router.post("/victim-upload", response_model=None)
async def victim_upload(file: Annotated[UploadFile, File()]) -> dict[str, int | None]:
    """An `async` route that takes a file; beyond 1 MiB it is written to disk, in threads."""
    return {"received": file.size}
