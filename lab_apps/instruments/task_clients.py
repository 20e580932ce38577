"""Clients that call an app without a socket: when its answer comes, by the end of its task."""

from __future__ import annotations

import asyncio
import contextlib
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import httpx

from lab_apps.instruments.app import ASGIApp
from lab_apps.instruments.ledger import Ledger

BEFORE, AFTER, NEVER = "before the end", "after the end", "before, and it never ended"
WAIT_S = 0.5  # beyond the task's length


def asgi_transport(app: ASGIApp, path: str, ledger: Ledger) -> str:
    """POST to `path` through httpx's ASGITransport: BEFORE, AFTER or NEVER.

    The app must note its task in the ledger. The event loop goes on until the task has ended.
    """
    done = len(ledger.times("done"))

    async def ask() -> str:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            (await client.post(path)).raise_for_status()
            answered_ns = time.perf_counter_ns()
            await asyncio.to_thread(_wait, ledger, done + 1)
        return _order(answered_ns, ledger, done)

    with ThreadPoolExecutor(1) as apart:  # a notebook's own thread has a loop that runs
        return apart.submit(asyncio.run, ask()).result()


def client_of_tests(app: ASGIApp, path: str, ledger: Ledger, *, block: bool = False) -> str:
    """The same through Starlette's TestClient, which makes an event loop for each request.

    Within its `block`, the `with` statement that runs the lifespan, one loop serves all of them.
    """
    done = len(ledger.times("done"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it asks for another client than httpx
        from starlette.testclient import TestClient

        client = TestClient(app)
        with client if block else contextlib.nullcontext():
            client.post(path).raise_for_status()
            answered_ns = time.perf_counter_ns()
            _wait(ledger, done + 1)
    return _order(answered_ns, ledger, done)


def _wait(ledger: Ledger, tasks: int) -> None:
    with contextlib.suppress(TimeoutError):
        ledger.wait_for("done", tasks, WAIT_S)


def _order(answered_ns: int, ledger: Ledger, known: int) -> str:
    done_ns = [event.at_ns for event in ledger.events if event.what == "done"][known:]
    if not done_ns:
        return NEVER
    return BEFORE if answered_ns < done_ns[0] else AFTER
