"""Work that computes: in the route, awaited, in a thread, in a process; and work in C."""

from __future__ import annotations

import asyncio
from functools import partial
from hashlib import sha256
from statistics import pvariance

from fastapi import APIRouter, Request

from lab_apps.practices.async_routes.pings import ran_on

router = APIRouter()


async def variance(count: int) -> float:
    """The variance of 0 .. count - 1, by the standard library and in plain Python."""
    return float(pvariance(range(count)))


@router.get("/variance-inline", response_model=None)
async def variance_inline(count: int = 70_000) -> dict[str, float | str]:
    """Computed on the event loop."""
    return {"variance": float(pvariance(range(count))), "ran_on": ran_on()}


@router.get("/variance-awaited", response_model=None)
async def variance_awaited(count: int = 70_000) -> dict[str, float | str]:
    """Awaited: it computes on the event loop all the same, without a pause."""
    return {"variance": await variance(count), "ran_on": ran_on()}


@router.get("/variance-def", response_model=None)
def variance_def(count: int = 70_000) -> dict[str, float | str]:
    """In a thread: it takes turns with the event loop for the GIL."""
    return {"variance": float(pvariance(range(count))), "ran_on": ran_on()}


@router.get("/variance-process", response_model=None)
async def variance_process(request: Request, count: int = 70_000) -> dict[str, float | str]:
    """In a process of the app's pool: with a GIL of its own."""
    loop = asyncio.get_running_loop()
    found = await loop.run_in_executor(request.app.state.pool, partial(pvariance, range(count)))
    return {"variance": float(found), "ran_on": ran_on()}


@router.get("/digest-inline", response_model=None)
async def digest_inline(request: Request) -> dict[str, str]:
    """The hash of a document, as an ETag has it: on the event loop."""
    return {"digest": digest(request.app.state.document), "ran_on": ran_on()}


@router.get("/digest-def", response_model=None)
def digest_def(request: Request) -> dict[str, str]:
    """The same in a thread: hashlib lets go of the GIL while it hashes."""
    return {"digest": digest(request.app.state.document), "ran_on": ran_on()}


def digest(document: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return sha256(document).hexdigest()
