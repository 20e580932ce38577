"""Practice 5: what a blocking call in an `async` route costs everybody else.

Runs alone: `uvicorn lab_apps.practices.async_routes:app`, then `curl 127.0.0.1:8000/good-ping`.

The article's three pings come twice: with a sleep, and with a real HTTP call to a slow upstream.
Every answer says where its route ran, so that a check of the body is a check of the mechanism.
"""

from __future__ import annotations

import asyncio
import contextlib
import socketserver
import ssl
import threading
import time
from collections.abc import AsyncIterator

import httpx
from fastapi import FastAPI, Request

TLS = ssl.create_default_context()  # takes about 30 ms to make: once, not once per client


class SlowUpstream(socketserver.StreamRequestHandler):
    """Another service: answers GET /50 with "pong" after 50 ms, connection kept open."""

    disable_nagle_algorithm = True

    def handle(self) -> None:
        """Serve one connection until the client closes it."""
        while request_line := self.rfile.readline():
            while self.rfile.readline().strip():
                pass
            time.sleep(float(request_line.split()[1][1:]) / 1e3)
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npong")


class UpstreamServer(socketserver.ThreadingTCPServer):
    """A thread for each connection of `SlowUpstream`."""

    daemon_threads = True
    request_queue_size = 128  # the default, 5, makes the sixth simultaneous client wait a second


@contextlib.asynccontextmanager
async def upstream_and_clients(app: FastAPI) -> AsyncIterator[None]:
    """Start the upstream in threads of its own, and one shared client of each kind for it."""
    with UpstreamServer(("127.0.0.1", 0), SlowUpstream) as upstream:
        threading.Thread(target=upstream.serve_forever, args=(0.02,), daemon=True).start()
        url = f"http://127.0.0.1:{upstream.server_address[1]}"
        try:
            with httpx.Client(base_url=url, verify=TLS) as app.state.client:
                async with httpx.AsyncClient(base_url=url, verify=TLS) as app.state.async_client:
                    yield
        finally:
            upstream.shutdown()


app = FastAPI(title="Practice 5: async routes", lifespan=upstream_and_clients)

# `response_model=None` below: with a response model FastAPI sends the answer of a `def` route to
# the thread pool a second time, to be validated.


@app.get("/terrible-ping", response_model=None)
async def terrible_ping(hold_ms: float = 50) -> dict[str, str]:
    """A blocking call in an `async` route: the event loop stands still."""
    time.sleep(hold_ms / 1e3)
    return {"ping": "pong", "ran_on": ran_on()}


@app.get("/good-ping", response_model=None)
def good_ping(hold_ms: float = 50) -> dict[str, str]:
    """The same call in a `def` route: FastAPI runs it on a worker thread."""
    time.sleep(hold_ms / 1e3)
    return {"ping": "pong", "ran_on": ran_on()}


@app.get("/perfect-ping", response_model=None)
async def perfect_ping(hold_ms: float = 50) -> dict[str, str]:
    """Awaiting instead of blocking: the event loop serves others meanwhile."""
    await asyncio.sleep(hold_ms / 1e3)
    return {"ping": "pong", "ran_on": ran_on()}


@app.get("/terrible-fetch", response_model=None)
async def terrible_fetch(request: Request, hold_ms: float = 50) -> dict[str, str]:
    """A synchronous HTTP call in an `async` route."""
    pong = request.app.state.client.get(f"/{hold_ms}").text
    return {"ping": pong, "ran_on": ran_on()}


@app.get("/good-fetch", response_model=None)
def good_fetch(request: Request, hold_ms: float = 50) -> dict[str, str]:
    """The same HTTP call in a `def` route."""
    pong = request.app.state.client.get(f"/{hold_ms}").text
    return {"ping": pong, "ran_on": ran_on()}


@app.get("/perfect-fetch", response_model=None)
async def perfect_fetch(request: Request, hold_ms: float = 50) -> dict[str, str]:
    """The same HTTP call, awaited."""
    response = await request.app.state.async_client.get(f"/{hold_ms}")
    return {"ping": response.text, "ran_on": ran_on()}


@app.get("/victim", response_model=None)
async def victim() -> dict[str, str]:
    """Another route of the same service, with no work to speak of."""
    return {"victim": "served", "ran_on": ran_on()}


@app.get("/victim-def", response_model=None)
def victim_def() -> dict[str, str]:
    """The same in a `def` route: it needs the event loop twice, before and after its thread."""
    return {"victim": "served", "ran_on": ran_on()}


def ran_on() -> str:
    """Where the caller runs: "event loop" or "worker thread"."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return "worker thread"
    return "event loop"
