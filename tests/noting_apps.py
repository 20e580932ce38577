"""Small ASGI apps that note tasks of known fates, for the tests of the instruments that count them.

The environment tells what becomes of the tasks: of n the first LOSE are never done, the next DOUBLE
are done twice, the others once. They are done when the server stops, so that a signal meets them
all; those of the route /short, and of all routes in the first SHORT_STARTS starts, before they are
answered. /never notes no beginning, /two two more tasks, "a" begun, "b" begun and ended; /ticks
notes "tick" 4 times, every 0.4 s, /forever without end. Each start adds a byte to the file STARTS.

They write into the ledger themselves, as `Ledger` has it.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

STARTS, LOSE, DOUBLE, SHORT = "STARTS", "LOSE", "DOUBLE", "SHORT_STARTS"
TICKS = {"/ticks": 4, "/forever": float("inf")}


def note(task: str, what: str) -> None:
    """Append an event."""
    line = json.dumps([time.perf_counter_ns(), os.getpid(), "MainThread", task, what])
    with Path(os.environ["LEDGER"]).open("a") as file:
        file.write(f"{line}\n")


def starts(path: Path) -> int:
    """How often an app was started with this file."""
    return path.stat().st_size if path.exists() else 0


def started() -> int:
    """Note another start; which one it was, from 1, or 0 where there is no file."""
    path = Path(os.environ.get(STARTS, os.devnull))
    with path.open("ab") as file:
        file.write(b"x")
    return starts(path)


async def tick(task: str, times: float) -> None:
    """Note this so many times, every 0.4 s."""
    while times > 0:
        await asyncio.sleep(0.4)
        note(task, "tick")
        times -= 1


class App:
    """Notes a task for each request: accepted and begun now, done when the server stops."""

    def __init__(self) -> None:
        self.tasks: list[str] = []
        self.short = False
        self.ticking: list[asyncio.Task[None]] = []

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.live(receive, send)
        else:
            status = self.answer(scope["path"])
            await send({"type": "http.response.start", "status": status})
            await send({"type": "http.response.body"})

    async def live(self, receive: Receive, send: Send) -> None:
        await receive()
        self.short = 0 < started() <= int(os.environ.get(SHORT, "0"))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        lose, double = (int(os.environ.get(name, "0")) for name in (LOSE, DOUBLE))
        for number, task in enumerate(self.tasks):
            for _ in range(0 if number < lose else 2 if number < lose + double else 1):
                note(task, "done")
        await send({"type": "lifespan.shutdown.complete"})

    def answer(self, path: str) -> int:
        """The status: that of the path /404, else 200."""
        if path == "/404":
            return 404
        task = f"{os.getpid()}-{len(self.tasks) + 1}"
        self.tasks.append(task)
        note(task, "accepted")
        if path != "/never":
            note(task, "begun")
        if path == "/short" or self.short:
            note(task, "done")
        if path == "/two":
            note(f"{task}a", "begun")
            note(f"{task}b", "begun")
            note(f"{task}b", "ended")
        if path in TICKS:
            self.ticking.append(asyncio.create_task(tick(task, TICKS[path])))
        return 200


class Stubborn(App):
    """The same, but its stop never ends."""

    async def live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await receive()


class Mute(App):
    """The same, but it is gone when it is asked for /mute."""

    def answer(self, path: str) -> int:
        if path == "/mute":
            os._exit(3)
        return super().answer(path)


app = App()
mute = Mute()
stubborn = Stubborn()
