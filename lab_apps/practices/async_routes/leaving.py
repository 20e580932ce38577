"""What becomes of a request whose client has left: every route notes its own fate."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

router = APIRouter(prefix="/leave")


@router.get("/await", response_model=None)
async def leave_await(request: Request, hold_ms: float = 300) -> None:
    """A route that awaits."""
    await awaiting(request.app.state.fates, "await", hold_ms)


@router.get("/def", response_model=None)
def leave_def(request: Request, hold_ms: float = 300) -> None:
    """A route that blocks in a thread."""
    time.sleep(hold_ms / 1e3)
    request.app.state.fates["def"] = "finished"


@router.get("/stream", response_model=None)
async def leave_stream(request: Request, hold_ms: float = 300) -> StreamingResponse:
    """An answer that is still being made."""

    async def pieces() -> AsyncIterator[str]:
        yield "first"
        await awaiting(request.app.state.fates, "stream", hold_ms)

    return StreamingResponse(pieces())


@router.get("/asks", response_model=None)
async def leave_asks(request: Request, hold_ms: float = 300) -> None:
    """A route that awaits in small steps and asks in between whether anybody is there."""
    for _ in range(20):
        if await request.is_disconnected():
            request.app.state.fates["asks"] = "noticed"
            return
        await asyncio.sleep(hold_ms / 20e3)
    request.app.state.fates["asks"] = "finished"


@router.get("/fates", response_model=None)
async def fates(request: Request) -> dict[str, str]:
    """What has become of the routes above since the app's start."""
    found: dict[str, str] = request.app.state.fates
    return found


async def awaiting(fates: dict[str, str], name: str, hold_ms: float) -> None:
    """Await, and note whether that came to its end."""
    fates[name] = "cancelled"
    await asyncio.sleep(hold_ms / 1e3)
    fates[name] = "finished"
