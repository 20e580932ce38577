"""One HTTP/1.1 connection that stamps every request, and the rows that come of it.

Written on `asyncio.Protocol` and httptools because a general client costs more than the routes it
would measure: httpx 0.28 with one shared pool reports several times the true latency at 64 users
(encode/httpx#3215; notebook 00 shows it). One request in flight per connection, no redirects, no
TLS, no decompression. A response must carry Content-Length or be chunked.

All stamps are `time.perf_counter_ns()`, which on Linux and macOS is one clock for all processes,
so they can be laid over the server's own stamps.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from lab_apps.instruments.schedule import Schedule

if TYPE_CHECKING:
    from lab_apps.instruments.sources import Source

now_ns = time.perf_counter_ns
SEND_BUFFER = 2**18
FIRST_BYTES = 2**16  # some 20 µs of copying; the rest of a large body is on its way when it is sent


@dataclass(frozen=True)
class Stream:
    """Requests of one kind: what is sent, when, and what must come back.

    `expect_body=None` accepts any complete body; everything the lab times sets it. `identify` is a
    path asked once on each connection that is opened beforehand; see `Sent.peers`. `connections` is
    how many an open stream opens beforehand, where the sender's own number is too few.
    """

    name: str
    path: str
    schedule: Schedule
    expect_body: bytes | None = None
    expect_status: int = 200
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    identify: str = ""
    connections: int | None = None


class Row(NamedTuple):
    """One request. Times in ns of `perf_counter_ns`; 0 where that moment never came.

    `intended_ns` is when it was due, `sent_ns` when its first bytes were with the kernel. `error`
    is "" or why the request did not end as expected: refused (no connection), closed (connection
    lost before the response was whole), broken (not HTTP), timeout, status, body, dropped (never
    sent).
    """

    stream: int
    connection: int
    intended_ns: int
    sent_ns: int
    first_byte_ns: int
    done_ns: int
    status: int
    bytes: int
    error: str


class Sent(NamedTuple):
    """What one run gives back: its rows, its time origin and what it cost the client.

    `peers` is what was answered to `Stream.identify`, by stream and connection; `scheduled` the
    number of requests due in each stream, None for a closed loop without such a number.
    `in_flight_s` is the time all requests together were in flight, counted where they begin and end
    and not from the rows, so that it can be held against them.
    """

    rows: list[Row]
    start_ns: int
    end_ns: int
    cpu_s: float
    wait_s: float  # the client was ready to run and had no core; 0 where the platform can't tell
    peers: dict[tuple[int, int], bytes] = {}  # noqa: RUF012
    scheduled: tuple[int | None, ...] = ()
    in_flight_s: float | None = None


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request in flight."""

    def __init__(self, source: Source, number: int) -> None:
        self.source = source
        self.number = number
        self.busy = False
        self.intended_ns = self.sent_ns = self.first_byte_ns = 0
        self.body: list[bytes] = []
        self.parser = HttpResponseParser(self)
        self.transport: asyncio.Transport | None = None
        self.descriptor = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = transport  # type: ignore[assignment]
        sock = transport.get_extra_info("socket")
        self.descriptor = sock.fileno()
        if len(self.source.request) > SEND_BUFFER:
            # Or the loop is held while megabytes are copied, and other streams send late.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)

    def send(self, intended_ns: int) -> None:
        """Send the source's request, due at `intended_ns`; none may be in flight."""
        self.busy = True
        self.intended_ns = intended_ns
        self.first_byte_ns = 0
        self.body = []
        self.source.begun(intended_ns)
        if self.transport is None:  # lost as soon as it was open
            self.sent_ns = now_ns()
            self.finish("closed")
            return
        left = hand_over(self.descriptor, self.source.request)
        self.sent_ns = now_ns()
        if left:
            self.transport.write(left)

    def data_received(self, data: bytes) -> None:
        """Stamp the first byte and parse on."""
        if not self.first_byte_ns:
            self.first_byte_ns = now_ns()
        try:
            self.parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self.close()
            if self.busy:
                self.finish("broken")

    def on_message_begin(self) -> None:
        """Drop a connection that answers what was not asked (called by the parser)."""
        # No first byte: it came in one packet with the end of the answer before.
        if not (self.busy and self.first_byte_ns):
            self.close()
            if self.busy:
                self.finish("broken")

    def on_body(self, data: bytes) -> None:
        """Keep a piece of the body (called by the parser)."""
        self.body.append(data)

    def on_message_complete(self) -> None:
        """Check status and body and end the request (called by the parser)."""
        if not self.busy:
            return
        source, status, body = self.source, self.parser.get_status_code(), b"".join(self.body)
        error = ""
        if status != source.stream.expect_status:
            error = "status"
        elif source.stream.expect_body is not None and body != source.stream.expect_body:
            error = "body"
        if status == 101 or self.half_sent() or not self.parser.should_keep_alive():
            self.close()
        self.finish(error, status, len(body))

    def half_sent(self) -> bool:
        """Whether the answer has come before all of the request was sent."""
        return self.transport is not None and self.transport.get_write_buffer_size() > 0

    def connection_lost(self, exc: Exception | None) -> None:
        """End the request in flight as an error."""
        self.close()
        if self.busy:
            self.finish("closed")

    def finish(self, error: str, status: int = 0, size: int = 0) -> None:
        """Record the request in flight and hand the connection back to its source.

        What ends after the timeout is a timeout, whatever it was, and ends at the timeout.
        """
        self.busy = False
        done_ns, latest_ns = now_ns(), self.sent_ns + self.source.timeout_ns
        if done_ns > latest_ns:
            error, status, size, done_ns = "timeout", 0, 0, latest_ns
        self.source.record(self, error, status, size, done_ns)

    def close(self) -> None:
        """Drop the connection at once; the request in flight, if any, is still to be ended."""
        if self.transport is not None:
            self.transport.abort()
            self.transport = None


def hand_over(descriptor: int, data: bytes) -> memoryview:
    """Write the first bytes, at most `FIRST_BYTES`, to a non-blocking socket; return the rest.

    Past the transport, which must have nothing to write: uvloop keeps what it is given until the
    end of the loop's turn. Errors are left for the transport to meet.
    """
    view = memoryview(data)
    try:
        return view[os.write(descriptor, view[:FIRST_BYTES]) :]
    except OSError:
        return view
