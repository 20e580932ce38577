"""Routes with nothing to do: who waits for other requests' tasks."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()

SERVED = {"victim": "served"}


@router.get("/victim", response_model=None)
async def victim() -> dict[str, str]:
    """Needs the event loop."""
    return SERVED


@router.get("/victim-def", response_model=None)
def victim_def() -> dict[str, str]:
    """Needs the event loop and a thread."""
    return SERVED
