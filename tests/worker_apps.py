"""Apps for the tests of the workers, found there by name; they write to the folder `LAB_NOTES`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import FastAPI
from targets import OwnError

NOTES = Path(os.environ["LAB_NOTES"])


@contextlib.asynccontextmanager
async def noted(_: FastAPI) -> AsyncIterator[None]:
    """A lifespan that notes its end; it fails where there is a file "broken"."""
    if (NOTES / "broken").exists():
        raise OwnError("no database")
    yield
    (NOTES / f"ended {os.getpid()}").touch()


@contextlib.asynccontextmanager
async def one_only(_: FastAPI) -> AsyncIterator[None]:
    """A lifespan that fails in all workers but one."""
    (NOTES / "taken").mkdir()
    yield
    (NOTES / "ended").touch()


@contextlib.asynccontextmanager
async def dies(_: FastAPI) -> AsyncIterator[None]:
    """A lifespan that ends its process without a report."""
    print("out of luck", file=sys.stderr, flush=True)
    os._exit(7)
    yield


app = FastAPI(lifespan=noted)
alone = FastAPI(lifespan=one_only)
dying = FastAPI(lifespan=dies)


@app.get("/pid")
async def pid() -> int:
    """Which worker answers."""
    return os.getpid()


@app.get("/block")
async def block(hold_s: float) -> None:
    """Blocks the loop, and notes when it begins."""
    (NOTES / "block").touch()
    time.sleep(hold_s)  # noqa: ASYNC251


@app.get("/await")
async def awaits(hold_s: float) -> None:
    """Awaits, and notes when it begins."""
    (NOTES / "await").touch()
    await asyncio.sleep(hold_s)
