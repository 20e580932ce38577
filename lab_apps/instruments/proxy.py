"""A Postgres proxy that adds a delay to each round trip and counts the round trips.

It stands for the network between a service and its database, where there is none worth mention.
The whole round trip's delay is put before what the client sends, measured from its arrival, so that
what is sent in one go is delayed once; what the server sends passes at once.

Measured on two cores shared with other work, 200 times SELECT 1 for each delay: the median exceeds
that without the proxy by 0.2 ms at a delay of 0, and by the delay and another 0.2, 0.5 and 1 ms at
1, 5 and 20 ms. So the arm to compare with is the proxy at 0 ms, not the bare server.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math
import os
import resource
import selectors
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

from lab_apps.instruments.child import Child, ChildError
from lab_apps.instruments.postgres_url import one_line, uri

START_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 5
HEAD = 5  # bytes of a message's type and length
ANSWERS = b"ZG"
MOST_DESCRIPTORS = 1000  # select() takes none from 1024 on
TLS = ("require", "verify-ca", "verify-full")
NO_TLS = (
    "the proxy reads what passes and can't keep TLS; give the database's own URL without TLS, "
    "or unset LAB_DATABASE_URL to have a Postgres started here"
)
PLAIN = {"sslmode": "disable", "gssencmode": "disable"}


class Proxy:
    """A running proxy. `url` is a libpq URI that leads through it. Not for use from two threads."""

    def __init__(self, url: str, delay_ms: float) -> None:
        """`delayed` says what is raised."""
        self._delay_ms = _checked(delay_ms)
        place, port, server = _reached(url)
        self._child = Child(f"{__name__}:_host")
        try:
            self._folder = self._child.call(
                "start", place, port, delay_ms, timeout_s=START_TIMEOUT_S
            )
        except BaseException:
            self._child.close()
            raise
        self._pid = self._child.pid
        # The empty address is there for PGHOSTADDR, which would lead past the proxy.
        here = {"host": self._folder, "hostaddr": "", "port": str(port)}
        self.url = uri(server | here | PLAIN)

    @property
    def delay_ms(self) -> float:
        """What is added to each round trip, in ms; can be set while connections are open."""
        return self._delay_ms

    @delay_ms.setter
    def delay_ms(self, delay_ms: float) -> None:
        self._ask("delay", _checked(delay_ms))
        self._delay_ms = delay_ms

    @property
    def round_trips(self) -> int:
        """How often so far a server has ended its turn, logins left out.

        That is the number of messages ReadyForQuery but the first of each connection, and of
        CopyInResponse, with which it asks for the data of a COPY (PostgreSQL documentation,
        "Message Formats"); each is counted before the client gets it. It is what psycopg waits for,
        with one exception: results that are fetched within a pipeline, `executemany` with
        `returning=True` among them, cost one more wait that no such message ends.
        """
        trips: int = self._ask("counts")[0]
        return trips

    @property
    def connections(self) -> int:
        """How many connections have logged in so far; requests to cancel are none."""
        logins: int = self._ask("counts")[1]
        return logins

    def stop(self) -> None:
        """Drop the connections and end the process; its socket and folder are gone then."""
        self._child.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _ask(self, what: str, *args: Any) -> Any:
        if self._child.pid != self._pid:  # a call would start another process
            raise ChildError("this proxy has stopped: ask within its block")
        return self._child.call(what, *args)


@contextlib.contextmanager
def delayed(url: str, delay_ms: float = 0.0) -> Iterator[Proxy]:
    """A proxy to the server of `url` while the block runs, in a process of its own.

    `url` is a libpq URI or connection string; what it leaves out comes from where libpq takes it:
    PGHOST and the like, the password file. Of several hosts the proxy leads to the one that answers
    now. It listens on a Unix socket alone, in a temporary folder that nobody else can enter and
    that goes with the process, whichever way that ends.

    Raises ValueError for a delay that is none, for a url (or PGSSLMODE) that asks for TLS and for a
    server that takes nothing else: the proxy has to read what passes. ConnectionError where the
    server can't be reached or refuses, and psycopg.ProgrammingError for what is no connection
    string.
    """
    proxy = Proxy(url, delay_ms)
    try:
        yield proxy
    finally:
        proxy.stop()


def _checked(delay_ms: float) -> float:
    if not 0 <= delay_ms < math.inf:
        raise ValueError(f"delay_ms is {delay_ms}: it must be 0 or more")
    return delay_ms


def _reached(url: str) -> tuple[str, int, dict[str, str]]:
    """Address or folder, and port, of the server that answers; parameters to reach it by."""
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    server = {name: str(value) for name, value in conninfo_to_dict(url).items()}
    mode = server.get("sslmode") or os.environ.get("PGSSLMODE")
    if mode in TLS:
        raise ValueError(f"sslmode={mode}: {NO_TLS}")
    try:
        with _connect(url, **PLAIN) as live:
            password = {"password": live.info.password} if live.info.password else {}
            return live.info.hostaddr or live.info.host, live.info.port, server | password
    except psycopg.OperationalError as error:
        refusal = error
    with contextlib.suppress(psycopg.OperationalError), _connect(url):
        raise ValueError(f"this server refuses sslmode=disable: {NO_TLS}") from refusal
    raise ConnectionError(f"no server to lead to: {one_line(refusal)}") from refusal


def _connect(url: str, **options: Any) -> Any:
    import psycopg

    return psycopg.connect(url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S, **options)


class _Side(asyncio.Protocol):
    """One end of a connection; `peer` is the other."""

    peer: _Side
    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.peer.transport.close()

    def pause_writing(self) -> None:
        self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        self.peer.transport.resume_reading()


class _Server(_Side):
    """Passes on what the server says and counts where its turn ends."""

    def __init__(self, relay: _Relay, client: _Client) -> None:
        self.relay, self.peer = relay, client
        self.head, self.skip, self.logged_in = b"", 0, False

    def data_received(self, data: bytes) -> None:
        self.count(data)
        self.peer.transport.write(data)

    def count(self, data: bytes) -> None:
        """Read the messages' heads; one may be cut in two."""
        at = self.skip
        if self.head:
            data, self.head, at = self.head + data, b"", 0
        while at + HEAD <= len(data):
            if data[at] in ANSWERS:
                self.relay.round_trips += self.logged_in
                self.relay.connections += not self.logged_in
                self.logged_in = True
            at += 1 + int.from_bytes(data[at + 1 : at + HEAD])
        self.head, self.skip = data[at:], max(0, at - len(data))


class _Client(_Side):
    """Passes on what the client says, later."""

    def __init__(self, relay: _Relay) -> None:
        self.relay = relay
        self.loop = asyncio.get_running_loop()
        self.due = 0.0
        self.early = b""  # Python 3.11.2 reads on where connection_made pauses the transport
        self.opening: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.pause_reading()
        self.opening = self.loop.create_task(self.open())

    async def open(self) -> None:
        try:
            _, self.peer = await self.relay.connect(functools.partial(_Server, self.relay, self))
        except OSError:
            self.transport.close()
        else:
            self.later(self.peer.transport.write, self.early)
            self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if hasattr(self, "peer"):
            self.later(self.peer.transport.write, data)
        else:
            self.early += data

    def connection_lost(self, exc: Exception | None) -> None:
        if hasattr(self, "peer"):
            self.later(self.peer.transport.close)

    def later(self, function: Callable[..., object], *args: bytes) -> None:
        """Call it after the delay, and in order, whatever becomes of the delay meanwhile."""
        arrived = self.loop.time()
        self.due = max(math.nextafter(self.due, math.inf), arrived + self.relay.delay_ms / 1e3)
        self.loop.call_at(self.due, function, *args)


class _Relay:
    """Listens in a thread of the child process."""

    def __init__(self, host: str, port: int, delay_ms: float) -> None:
        self.host, self.port, self.delay_ms = host, port, delay_ms
        self.round_trips = self.connections = 0
        # select() keeps microseconds; epoll, and with it uvloop, rounds a delay to whole ms.
        self.loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if not 0 <= soft <= MOST_DESCRIPTORS:
            resource.setrlimit(resource.RLIMIT_NOFILE, (MOST_DESCRIPTORS, hard))
        self.folder = tempfile.mkdtemp(prefix="lab-proxy-")
        # Outlives this process, however that ends, and then removes the folder.
        self.janitor = subprocess.Popen(
            ["sh", "-c", 'read -r _; rm -rf -- "$1"', "sh", self.folder],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def start(self) -> str:
        self.loop.run_until_complete(self.listen())
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        return self.folder

    async def listen(self) -> None:
        path = f"{self.folder}/.s.PGSQL.{self.port}"
        try:
            await self.loop.create_unix_server(lambda: _Client(self), path, backlog=512)
        except OSError as error:
            raise OSError(f"{error}: {path}; a shorter TMPDIR helps, such as /tmp") from error

    async def connect(self, protocol: Callable[[], Any]) -> tuple[Any, Any]:
        if self.host.startswith("/"):
            path = f"{self.host}/.s.PGSQL.{self.port}"
            return await self.loop.create_unix_connection(protocol, path)
        return await self.loop.create_connection(protocol, self.host, self.port)


_relay: _Relay | None = None


def _host(what: str, *args: Any) -> Any:
    """Run in the child process."""
    global _relay
    if what == "start":
        _relay = _Relay(*args)
        return _relay.start()
    assert _relay is not None
    if what == "delay":
        (_relay.delay_ms,) = args
    return _relay.round_trips, _relay.connections
