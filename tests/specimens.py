"""What the tests of the specimens share: broken versions of them, and their pools of processes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from helpers import children

from lab_apps.practices.async_routes import bodies, cpu, hops, leaving, pings, pool, reads
from lab_apps.practices.async_routes.resources import lifespan

SPECIMEN = "lab_apps.practices.async_routes:app"
LOOPS = ["asyncio", "uvloop"]


def spoiled(path: str, endpoint: Callable[..., Any], *methods: str) -> FastAPI:
    """The specimen of practice 5 with another route at that path: the first that fits is taken."""
    app = FastAPI(lifespan=lifespan)
    app.add_api_route(path, endpoint, methods=list(methods or ["GET"]), response_model=None)
    for part in (pings, reads, hops, bodies, pool, cpu, leaving):
        app.include_router(part.router)
    return app


def spawned(pid: int) -> set[int]:
    """The running processes of that process's pools, without multiprocessing's own tracker."""
    commands = {child: Path(f"/proc/{child}/cmdline") for child in children(pid)}
    return {child for child, file in commands.items() if b"spawn_main" in file.read_bytes()}
