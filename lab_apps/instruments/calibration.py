"""An app whose delays, answers, faults and memory are known, to test instruments against."""

from __future__ import annotations

import asyncio
import ctypes
import tempfile
import time
from typing import Any

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

OK = b'{"ok":true}'
SPOOL_S = 0.1
MIB = 2**20


def create_app() -> FastAPI:
    """An app with routes that do nothing, take a known time, or a known amount of memory."""
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

    @app.get("/fill/{mib}")
    async def fill(mib: int) -> dict[str, bool]:
        # On the loop's thread. Filled, because pages that nobody touches are no memory.
        b"x" * (mib * MIB)
        return {"ok": True}

    @app.get("/malloc/{mib}")
    async def malloc(mib: int) -> dict[str, bool]:
        # As a C library does it, past Python's allocators.
        libc = ctypes.CDLL(None)
        libc.malloc.restype = ctypes.c_void_p
        place = ctypes.c_void_p(libc.malloc(ctypes.c_size_t(mib * MIB)))
        libc.memset(place, 1, ctypes.c_size_t(mib * MIB))
        libc.free(place)
        return {"ok": True}

    @app.get("/spool/{mib}")
    async def spool(mib: int) -> dict[str, bool]:
        # To the temporary folder, kept for a moment.
        with tempfile.TemporaryFile() as file:
            for _ in range(mib):
                file.write(b"x" * MIB)
            await asyncio.sleep(SPOOL_S)
        return {"ok": True}

    @app.get("/status/{code}")
    async def status(code: int) -> PlainTextResponse:
        return PlainTextResponse("status", status_code=code)

    return app


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """An ASGI app that costs next to nothing. Answers `OK`, /sleep/MS after a hold of the loop."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["path"].startswith("/sleep/"):
        time.sleep(float(scope["path"].removeprefix("/sleep/")) / 1e3)  # noqa: ASYNC251
    headers = [(b"content-length", str(len(OK)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": OK})
