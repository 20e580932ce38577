"""Blocking I/O of some microseconds: one row of a SQLite file, read by its key."""

from __future__ import annotations

import sqlite3

from fastapi import APIRouter, Request

from lab_apps.practices.async_routes.pings import ran_on

router = APIRouter()


@router.get("/read-inline/{number}", response_model=None)
async def read_inline(number: int, request: Request) -> dict[str, str]:
    """The loop stands still while SQLite reads."""
    return {"title": title(request.app.state.db, number), "ran_on": ran_on()}


@router.get("/read-def/{number}", response_model=None)
def read_def(number: int, request: Request) -> dict[str, str]:
    """The read is handed to a thread, and the answer handed back."""
    return {"title": title(request.app.state.db, number), "ran_on": ran_on()}


def title(db: sqlite3.Connection, number: int) -> str:
    """The title of that post. Raises TypeError for a post that isn't there."""
    found: str = db.execute("SELECT title FROM posts WHERE id = ?", (number,)).fetchone()[0]
    return found
