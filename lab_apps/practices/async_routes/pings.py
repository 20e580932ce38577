"""The article's three routes, twice: with a sleep, and with an HTTP call to a slow upstream."""

from __future__ import annotations

import asyncio
import os
import time

from fastapi import APIRouter, Request

router = APIRouter()

# `response_model=None` below: with a response model FastAPI sends the answer of a `def` route to
# the thread pool a second time, to be validated.


@router.get("/terrible-ping", response_model=None)
async def terrible_ping(hold_ms: float = 50) -> dict[str, str]:
    """A blocking call in an `async` route: the event loop stands still."""
    time.sleep(hold_ms / 1e3)
    return {"ping": "pong", "ran_on": ran_on()}


@router.get("/good-ping", response_model=None)
def good_ping(hold_ms: float = 50) -> dict[str, str]:
    """The same call in a `def` route: FastAPI runs it on a worker thread."""
    time.sleep(hold_ms / 1e3)
    return {"ping": "pong", "ran_on": ran_on()}


@router.get("/perfect-ping", response_model=None)
async def perfect_ping(hold_ms: float = 50) -> dict[str, str]:
    """Awaiting instead of blocking: the event loop serves others meanwhile."""
    await asyncio.sleep(hold_ms / 1e3)
    return {"ping": "pong", "ran_on": ran_on()}


@router.get("/terrible-fetch", response_model=None)
async def terrible_fetch(request: Request, hold_ms: float = 50) -> dict[str, str]:
    """A synchronous HTTP call in an `async` route."""
    pong = request.app.state.client.get(f"/{hold_ms}").text
    return {"ping": pong, "ran_on": ran_on()}


@router.get("/good-fetch", response_model=None)
def good_fetch(request: Request, hold_ms: float = 50) -> dict[str, str]:
    """The same HTTP call in a `def` route."""
    pong = request.app.state.client.get(f"/{hold_ms}").text
    return {"ping": pong, "ran_on": ran_on()}


@router.get("/perfect-fetch", response_model=None)
async def perfect_fetch(request: Request, hold_ms: float = 50) -> dict[str, str]:
    """The same HTTP call, awaited."""
    response = await request.app.state.async_client.get(f"/{hold_ms}")
    return {"ping": response.text, "ran_on": ran_on()}


@router.get("/victim", response_model=None)
async def victim() -> dict[str, str]:
    """Another route of the same service, with no work to speak of."""
    return {"victim": "served", "ran_on": ran_on()}


@router.get("/victim-def", response_model=None)
def victim_def() -> dict[str, str]:
    """The same in a `def` route: it needs the event loop twice, before and after its thread."""
    return {"victim": "served", "ran_on": ran_on()}


@router.get("/who", response_model=None)
async def who() -> dict[str, int]:
    """Which process answers."""
    return {"pid": os.getpid()}


def ran_on() -> str:
    """Where the caller runs: "event loop" or "worker thread"."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return "worker thread"
    return "event loop"
