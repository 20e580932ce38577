"""What the routes work with, from the app's start to its end."""

from __future__ import annotations

import contextlib
import multiprocessing
import socket
import socketserver
import sqlite3
import ssl
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import httpx
from fastapi import FastAPI

from lab_apps.practices.async_routes.in_pool import begin

TLS = ssl.create_default_context()  # takes about 30 ms to make: once, not once per client
POSTS = 1000
DOCUMENT_MIB = 16
PROCESSES = 2


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


@contextlib.contextmanager
def upstream() -> Iterator[str]:
    """Run the upstream in threads of its own; yield its address."""
    with UpstreamServer(("127.0.0.1", 0), SlowUpstream) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            ending = threading.Thread(target=server.shutdown)
            ending.start()
            port = server.socket.getsockname()[1]  # it looks up only now and then: wake it
            with socket.create_connection(("127.0.0.1", port)):
                ending.join()


@contextlib.contextmanager
def database(path: Path) -> Iterator[sqlite3.Connection]:
    """A SQLite file with posts; one connection that all threads may use, one at a time."""
    connection = sqlite3.connect(path, check_same_thread=False)
    with contextlib.closing(connection), connection:
        connection.execute("CREATE TABLE posts (id INTEGER PRIMARY KEY, title TEXT)")
        rows = ((number, f"post {number}") for number in range(POSTS))
        connection.executemany("INSERT INTO posts VALUES (?, ?)", rows)
        connection.commit()
        yield connection


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open what the routes use, and close it when the app ends.

    The pool starts its processes when it gets its first work: by `spawn`, because a process with
    threads must not fork.
    """
    spawn = multiprocessing.get_context("spawn")
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        app.state.db = stack.enter_context(database(folder / "posts.db"))
        app.state.document = bytes(DOCUMENT_MIB * 2**20)
        app.state.file = folder / "document"
        app.state.file.write_bytes(app.state.document[: 2**20])
        app.state.pool = ProcessPoolExecutor(PROCESSES, mp_context=spawn, initializer=begin)
        stack.callback(app.state.pool.shutdown, cancel_futures=True)
        url = stack.enter_context(upstream())
        app.state.client = stack.enter_context(httpx.Client(base_url=url, verify=TLS))
        app.state.async_client = await stack.enter_async_context(
            httpx.AsyncClient(base_url=url, verify=TLS)
        )
        app.state.fates = {}
        yield
