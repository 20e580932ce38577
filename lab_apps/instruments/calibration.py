"""An app whose delays, answers and faults are known: what the instruments are tested against."""

from __future__ import annotations

import asyncio
import time

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

OK = b'{"ok":true}'


def create_app() -> FastAPI:
    """An app with a route that does nothing and one that takes a known time."""
    app = FastAPI(openapi_url=None)

    @app.get("/null")
    async def null() -> dict[str, bool]:
        return {"ok": True}

    @app.get("/sleep/{ms}")
    async def sleep(ms: float) -> dict[str, bool]:
        # Blocks the loop, so that no timer's rounding comes between: for one user at a time.
        time.sleep(ms / 1e3)  # noqa: ASYNC251
        return {"ok": True}

    @app.get("/wait/{ms}")
    async def wait(ms: float) -> dict[str, bool]:
        await asyncio.sleep(ms / 1e3)
        return {"ok": True}

    @app.get("/status/{code}")
    async def status(code: int) -> PlainTextResponse:
        return PlainTextResponse("status", status_code=code)

    return app
