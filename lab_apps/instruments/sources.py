"""Streams at work: the connections of each, its rows, and what it sends next."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Callable
from typing import Any, TypeAlias

from lab_apps.instruments import wire
from lab_apps.instruments.schedule import Closed, Open
from lab_apps.instruments.wire import Connection, Row, Stream

RETRY_S = 0.05  # a closed user's pause after a refused connection
FIRST_CONNECTIONS = 128  # of an open stream: more than are ever busy where a server keeps up
MAX_CONNECTIONS = 1000  # of an open stream; a request that finds none is counted as "dropped"

Due: TypeAlias = tuple[int, Callable[[int], None]]  # instant in ns; called with that instant


class Source:
    """One stream at work: its connections, its rows, and whether it has ended.

    `scheduled` is the number of requests that are due, None where time decides.
    """

    first_connections = 1
    scheduled: int | None = None

    def __init__(
        self, index: int, stream: Stream, host: str, port: int, timeout_s: float, rows: list[Row]
    ) -> None:
        self.index, self.stream, self.host, self.port = index, stream, host, port
        self.timeout_s, self.timeout_ns, self.rows = timeout_s, round(timeout_s * 1e9), rows
        self.connections: list[Connection] = []
        self.idle: list[Connection] = []
        self.opened = 0
        self.timed = False  # False while warming up
        self.in_flight_ns = 0  # ends minus beginnings of the timed requests
        self.status = 0  # of the answer in the warm-up that came last
        self.ended = asyncio.Event()
        head = [
            f"{stream.method} {stream.path} HTTP/1.1",
            f"Host: {f'[{host}]' if ':' in host else host}:{port}",
            *(f"{name}: {value}" for name, value in stream.headers),
        ]
        if stream.body or stream.method != "GET":
            head.append(f"Content-Length: {len(stream.body)}")
        self.request = "\r\n".join([*head, "", ""]).encode() + stream.body
        self.question = f"GET {stream.identify} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()
        self.peers: dict[tuple[int, int], bytes] = {}

    async def connect(self) -> Connection:
        """A new connection. Raises OSError, of which TimeoutError is one."""
        self.opened += 1
        number = self.opened
        connecting = asyncio.get_running_loop().create_connection(
            lambda: Connection(self, number), self.host, self.port
        )
        _, connection = await asyncio.wait_for(connecting, self.timeout_s)
        self.connections.append(connection)
        return connection

    async def warm_up(self, requests: int) -> None:
        """Open the first connections and send discarded requests, one at a time."""
        try:
            for _ in range(self.first_connections):
                self.idle.append(await self.connect())
                if self.stream.identify:
                    self.peers[self.index, self.opened] = await self.ask(self.question)
        except OSError:
            requests = 0  # the timed ones will meet the same refusal, and it is counted there
        for _ in range(requests):
            if self.idle:
                await self.ask(self.request)
        self.ended.clear()

    async def ask(self, request: bytes) -> bytes:
        """The body of the answer on the idle connection opened or answered last.

        b"" where there is no whole answer, or one with another status than 200.
        """
        self.ended.clear()
        connection = self.idle.pop()
        request, self.request = self.request, request
        connection.send(wire.now_ns())
        self.request = request
        try:
            await asyncio.wait_for(self.ended.wait(), self.timeout_s)
        except TimeoutError:
            connection.busy = False
            connection.close()
            return b""
        return b"".join(connection.body) if self.status == 200 else b""

    def begun(self, intended_ns: int) -> None:
        """Count a request as in flight from the instant it was due."""
        if self.timed:
            self.in_flight_ns -= intended_ns

    def record(self, c: Connection, error: str, status: int, size: int, done_ns: int) -> None:
        """Keep one ended request as a row and go on."""
        if not self.timed:
            if c.transport is not None:
                self.idle.append(c)
            self.status = status
            self.ended.set()
            return
        self.in_flight_ns += done_ns
        times = (c.intended_ns, c.sent_ns, c.first_byte_ns, done_ns)
        self.rows.append(Row(self.index, c.number, *times, status, size, error))
        self.after(c)

    def unsent(self, intended_ns: int, error: str) -> None:
        """Keep a request that never got a connection as a row."""
        self.rows.append(Row(self.index, 0, intended_ns, 0, 0, wire.now_ns(), 0, 0, error))

    def plan(self, start_ns: int) -> list[Due]:
        """What the pacer calls, and when."""
        raise NotImplementedError

    def after(self, connection: Connection) -> None:
        """A timed request has ended: start what follows from that."""
        raise NotImplementedError

    def expire(self) -> None:
        """End requests in flight for longer than the timeout, at the timeout's value."""
        now_ns = wire.now_ns()
        self.connections = [c for c in self.connections if c.transport is not None]
        for c in self.connections:
            if c.busy and now_ns - c.sent_ns > self.timeout_ns:
                c.close()
                c.finish("timeout")

    def close(self) -> None:
        """Drop every connection, without rows."""
        for connection in self.connections:
            connection.busy = False
            connection.close()


class ClosedSource(Source):
    """Users that send again as soon as they are answered."""

    def __init__(self, schedule: Closed, *args: Any) -> None:
        super().__init__(*args)
        self.active = self.first_connections = schedule.users
        self.left = schedule.requests if schedule.requests is not None else sys.maxsize
        self.scheduled = schedule.requests if schedule.seconds is None else None
        self.seconds = schedule.seconds
        self.end_ns = sys.maxsize
        self.tasks: set[asyncio.Task[None]] = set()

    def plan(self, start_ns: int) -> list[Due]:
        """All users begin together."""
        return [(start_ns, self.begin)]

    def begin(self, start_ns: int) -> None:
        """Let every user send its first request."""
        if self.seconds is not None:
            self.end_ns = start_ns + round(self.seconds * 1e9)
        users: list[Connection | None] = [*self.idle]
        users += [None] * (self.active - len(users))
        self.idle = []
        for connection in users:
            self.go_on(connection)

    def after(self, connection: Connection) -> None:
        """The same user sends again."""
        self.go_on(connection)

    def go_on(self, connection: Connection | None) -> None:
        """One user's next request, or the end of that user."""
        if self.left <= 0 or wire.now_ns() >= self.end_ns:
            self.active -= 1
            if self.active == 0:
                self.ended.set()
            return
        self.left -= 1
        if connection is not None and connection.transport is not None:
            connection.send(wire.now_ns())
        else:
            task = asyncio.get_running_loop().create_task(self.reconnect())
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def reconnect(self) -> None:
        """One user's request on a new connection."""
        intended_ns = wire.now_ns()
        try:
            connection = await self.connect()
        except OSError:
            self.unsent(intended_ns, "refused")
            await asyncio.sleep(RETRY_S)
            self.go_on(None)
        else:
            connection.send(intended_ns)


class OpenSource(Source):
    """Requests that are due when they are due, on as many connections as that takes."""

    def __init__(self, schedule: Open, *args: Any) -> None:
        super().__init__(*args)
        self.at_s = schedule.at_s
        self.left = self.scheduled = len(schedule.at_s)
        # To open one later takes a turn of the server's loop.
        self.first_connections = min(self.stream.connections or FIRST_CONNECTIONS, self.left)
        self.tasks: set[asyncio.Task[None]] = set()
        self.users = random.Random(self.index)

    def plan(self, start_ns: int) -> list[Due]:
        """Every request at its own instant."""
        if not self.left:
            self.ended.set()
        return [(start_ns + round(at * 1e9), self.fire) for at in self.at_s.tolist()]

    def fire(self, intended_ns: int) -> None:
        """Send the request that is due now, as any of the users that are idle.

        Not as the one that was answered last: connections stay with the worker that accepted them,
        so most requests would go to one worker of several.
        """
        idle = self.idle
        while idle:
            any_of = self.users.randrange(len(idle))
            idle[any_of], idle[-1] = idle[-1], idle[any_of]
            connection = idle.pop()
            if connection.transport is not None:
                connection.send(intended_ns)
                return
        if len(self.connections) + len(self.tasks) >= MAX_CONNECTIONS:
            self.unsent(intended_ns, "dropped")
            self.count()
            return
        task = asyncio.get_running_loop().create_task(self.connect_and_send(intended_ns))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def connect_and_send(self, intended_ns: int) -> None:
        """Send on a new connection, because all others are busy."""
        try:
            connection = await self.connect()
        except OSError:
            self.unsent(intended_ns, "refused")
            self.count()
        else:
            connection.send(intended_ns)

    def after(self, connection: Connection) -> None:
        """The connection is free for another request."""
        if connection.transport is not None:
            self.idle.append(connection)
        self.count()

    def count(self) -> None:
        """One request fewer to wait for."""
        self.left -= 1
        if self.left == 0:
            self.ended.set()
