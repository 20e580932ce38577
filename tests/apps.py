"""Apps for the tests of the server, some of them broken on purpose; found there by name."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI
from targets import OwnError

from lab_apps.instruments.calibration import create_app


@contextlib.asynccontextmanager
async def raises_at_startup(_: FastAPI) -> AsyncIterator[None]:
    """A lifespan that fails before the first request."""
    raise OwnError("no database")
    yield


@contextlib.asynccontextmanager
async def exits_at_startup(_: FastAPI) -> AsyncIterator[None]:
    """A lifespan that would end the process."""
    raise SystemExit("no configuration")
    yield


@contextlib.asynccontextmanager
async def raises_at_shutdown(_: FastAPI) -> AsyncIterator[None]:
    """A lifespan that fails after the last request."""
    yield
    raise OwnError("still busy")


@contextlib.asynccontextmanager
async def hangs_at_startup(_: FastAPI) -> AsyncIterator[None]:
    """A lifespan that waits for what never comes."""
    await asyncio.Event().wait()
    yield


@contextlib.asynccontextmanager
async def hangs_at_shutdown(_: FastAPI) -> AsyncIterator[None]:
    """A lifespan that never ends."""
    yield
    await asyncio.Event().wait()


startup_fails = FastAPI(lifespan=raises_at_startup)
startup_exits = FastAPI(lifespan=exits_at_startup)
shutdown_fails = FastAPI(lifespan=raises_at_shutdown)
startup_hangs = FastAPI(lifespan=hangs_at_startup)
shutdown_hangs = FastAPI(lifespan=hangs_at_shutdown)
not_an_app = 3


async def says_that_startup_failed(scope: Any, receive: Any, send: Any) -> None:
    """A bare ASGI app that reports its failure by message."""
    assert (await receive())["type"] == scope["type"] + ".startup"
    await send({"type": "lifespan.startup.failed", "message": "no database"})


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """A bare ASGI app."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    headers = [(b"content-length", b"4")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"bare"})


class Callable:
    """An object that is an app."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await bare(scope, receive, send)


an_object = Callable()


def makes_bare() -> Any:
    """A function that makes an app."""
    return bare


def makes_nothing() -> None:
    """A function that should make an app."""


kinds = FastAPI()


@kinds.get("/def")
def in_def(hold_s: float = 0) -> str:
    """Runs in the thread pool."""
    time.sleep(hold_s)
    return "def"


@kinds.get("/burn")
def burns(cpu_s: float) -> str:
    """Uses that much CPU time on a pool thread."""
    until = time.thread_time() + cpu_s
    while time.thread_time() < until:
        pass
    return "burnt"


@kinds.get("/async")
async def in_async(hold_s: float = 0) -> str:
    """Blocks the loop."""
    time.sleep(hold_s)  # noqa: ASYNC251
    return "async"


@kinds.get("/await")
async def awaits(hold_s: float = 0) -> str:
    """Awaits."""
    await asyncio.sleep(hold_s)
    return "await"


lifespans = 0


@contextlib.asynccontextmanager
async def counts_starts(_: FastAPI) -> AsyncIterator[None]:
    """A lifespan that counts how often it has begun in this process."""
    global lifespans
    lifespans += 1
    yield


home = FastAPI(lifespan=counts_starts)


@home.get("/async")
async def loop_thread() -> list[int]:
    """The process and the thread that its server's loop has."""
    return [os.getpid(), threading.get_native_id()]


@home.get("/def")
def pool_thread() -> list[int]:
    """The process, the pool's thread, lifespans begun, threads alive, descriptors open."""
    descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    mine = [os.getpid(), threading.get_native_id()]
    return [*mine, lifespans, threading.active_count(), descriptors]


async def checksum(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the CRC-32 of the body."""
    if scope["type"] == "lifespan":
        return await bare(scope, receive, send)
    seen, more = 0, True
    while more:
        message = await receive()
        seen, more = zlib.crc32(message.get("body", b""), seen), message.get("more_body", False)
    body = str(seen).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
    return None


hungry = create_app()  # has /fill and /malloc


@hungry.get("/fill-def/{mib}")
def fills_in_the_pool(mib: int) -> int:
    """Fills that much memory on a pool thread, and gives it back."""
    return len(b"x" * (mib << 20))


@hungry.get("/untouched/{mib}")
def reserves(mib: int) -> int:
    """Allocates zeros, which take no memory until they are touched."""
    return len(bytes(mib << 20))


@hungry.get("/small")
def many_small(count: int) -> int:
    """Objects of some 230 bytes at once; returns their size, the list's own included."""
    objects: list[Any] = [None] * count  # a list that grows may be there twice for a moment
    for number in range(count):
        objects[number] = b"%0200d" % number
    return sum(map(sys.getsizeof, objects)) + sys.getsizeof(objects)


barriers: dict[int, asyncio.Barrier] = {}


kept: list[bytes] = []


@hungry.get("/leave-room/{mib}")
async def leave_room(mib: int) -> str:
    """Leave `mib` MiB of the loop's heap free and resident, below a small piece that stays."""
    pieces = [b"x" * 100_000 for _ in range(mib * 2**20 // 100_000 + 1)]
    kept.append(b"x" * 100_000)
    pieces.clear()
    return "ok"


@hungry.get("/together")
async def fills_with_others(mib: int, crowd: int) -> int:
    """Fills that much memory and holds it until a crowd of that many does."""
    held = b"x" * (mib << 20)
    await barriers.setdefault(crowd, asyncio.Barrier(crowd)).wait()
    return len(held)


held: list[Any] = []


def hold(mib: int) -> None:
    """Fill that much memory and keep it."""
    held.append(b"x" * (mib << 20))


def spool(mib: int, folder: str, named: bool = False) -> None:
    """Write that much to a temporary file, which may have a name, and keep it open."""
    make = tempfile.NamedTemporaryFile if named else tempfile.TemporaryFile
    file: Any = make(dir=folder, buffering=0)
    held.append(file)
    for _ in range(mib):
        file.write(os.urandom(1 << 20))


def let_go() -> None:
    """Free and close what is kept."""
    while held:
        kept = held.pop()
        if not isinstance(kept, bytes):
            kept.close()
