"""The corpus is what it says, and the client reports what became of each upload and never hangs."""

from __future__ import annotations

import posixpath
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

import pytest
from helpers import Reply, fault_server, needs_proc, no_leftovers, refuses, response

from lab_apps.instruments.hostile import NAMES, Hostile, Outcome, arriving, attack, corpus
from lab_apps.instruments.listener import listener

FAMILIES = {
    *(f"name: {kind}" for kind in NAMES),
    *(
        "valid",
        "truncated",
        "truncated: after the file",
        "disconnect",
        "nested",
        "no body",
        "no part",
        "empty file",
    ),
    *(f"length: {kind}" for kind in ("too large", "too small", "negative", "not a number")),
    *(f"length: {kind}" for kind in ("huge", "none", "two", "beside chunks")),
    *(f"chunks: {kind}" for kind in ("valid", "broken", "without end")),
    *(f"boundary: {kind}" for kind in ("missing", "another", "too long", "in the header only")),
    *(f"headers missing: {kind}" for kind in ("Content-Type", "Content-Disposition", "name")),
    *("parts: thousands of fields", "parts: thousands of files", "charset: undefined"),
    *("charset: utf-7", "charset: punycode"),
}
LENGTH = re.compile(rb"\r\nContent-Length: (\d+)\r\n")


def check_corpus(make: Callable[[int, int], list[Hostile]]) -> None:
    """Of each kind, the same from the same seed; and those with a hash are well-formed."""
    requests = make(1, 200)
    assert requests == make(1, 200) != make(2, 200)
    assert len(requests) == 200
    assert {one.kind for one in make(7, 100)} >= FAMILIES
    for one in requests:
        head, _, body = one.bytes.partition(b"\r\n\r\n")
        assert one.closes_at is None or 0 < one.closes_at <= len(one.bytes)
        assert not (one.sha256 and one.closes_at is not None)
        if one.sha256 and one.kind != "chunks: valid":
            declared = LENGTH.search(head + b"\r\n")
            assert declared is not None
            assert int(declared[1]) == len(body)
            mark = body[: body.index(b"\r\n")]
            content = body.partition(b"\r\n\r\n")[2].rpartition(b"\r\n" + mark + b"--")[0]
            assert sha256(content).hexdigest() == one.sha256


def test_corpus() -> None:
    check_corpus(corpus)


@pytest.mark.parametrize(
    "broken",
    [
        lambda _, count: corpus(1, count),
        lambda seed, count: corpus(seed, count - 1),
        lambda seed, count: [replace(one, sha256="0" * 64) for one in corpus(seed, count)],
        lambda seed, count: [replace(one, bytes=one.bytes + b"x") for one in corpus(seed, count)],
        lambda seed, count: [one for one in corpus(seed, 2 * count) if one.kind != "nested"][
            :count
        ],
        lambda seed, count: [replace(one, closes_at=9) for one in corpus(seed, count)],
    ],
)
def test_check_sees_another_corpus(broken: Callable[[int, int], list[Hostile]]) -> None:
    with pytest.raises(AssertionError):
        check_corpus(broken)


def test_names_lead_nowhere() -> None:
    """From a folder three deep two up at most, or to a folder that doesn't exist."""
    for name in (name.decode("latin-1") for names in NAMES.values() for name in names):
        to = posixpath.normpath(posixpath.join("/top/middle/target", name))
        assert to.startswith(("/top", "/nonexistent-lab/", "//nonexistent-lab/")) or name == "/"


@pytest.mark.parametrize("count", [0, 1, 98, 99, 100, 500])
def test_count(count: int) -> None:
    assert len(corpus(3, count)) == count


ONE = Hostile("one", b"Host: lab\r\nContent-Length: 0\r\n\r\n")


@needs_proc
@pytest.mark.parametrize(
    ("reply", "result"),
    [
        (Reply(), "200"),
        (Reply((response(b"", "507 Insufficient Storage"),)), "507"),
        (Reply((b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 20", b"1 Created\r\n\r\n")), "201"),
        (Reply((b"HTTP/1.1 100 Continue\r\n\r\n",), "close"), "closed"),
        (Reply((), "close"), "closed"),
        (Reply((), "hang"), "no answer"),
        (Reply((b"HTTP/1.1 2",), "hang"), "no answer"),
    ],
)
def test_results(reply: Reply, result: str) -> None:
    with no_leftovers(), fault_server(lambda _: reply) as server:
        timeout_s = 0.3 if reply.then == "hang" else 10
        assert attack(server.url, "/", [ONE], timeout_s=timeout_s) == [Outcome("one", result)]


def test_nobody_there() -> None:
    with fault_server() as server:
        url = server.url
    assert refuses(url)
    assert attack(url, "/", [ONE]) == [Outcome("one", "refused")]


def test_never_hangs() -> None:
    """Neither where nothing is said nor where nothing is read: 24 at 0.2 s, 8 at once."""
    large = replace(ONE, bytes=ONE.bytes + bytes(2**24))
    begun = time.monotonic()
    with fault_server(lambda _: Reply((), "hang")) as server:
        outcomes = attack(server.url, "/", [ONE] * 16 + [large] * 8, timeout_s=0.2)
    assert Counter(outcome.result for outcome in outcomes) == {"no answer": 24}
    assert time.monotonic() - begun < 10


def test_what_arrives_late_is_read_once() -> None:
    """Without an end, a server that never stops sending would be read for ever."""
    here, there = socket.socketpair()
    with here, there:
        there.sendall(bytes(100_000))
        pieces = arriving(here, time.monotonic())
        assert len(next(pieces)) == 65536
        with pytest.raises(TimeoutError):
            next(pieces)
        assert len(here.recv(65536)) == 100_000 - 65536


def received(request: Hostile) -> bytes | None:
    """What arrives at a server that only listens; None if the connection is reset."""
    with listener() as server:
        server.listen()
        server.settimeout(10)
        attacker = threading.Thread(
            target=attack, args=(f"http://127.0.0.1:{server.getsockname()[1]}", "/path", [request])
        )
        attacker.start()
        connection, _ = server.accept()
        with connection:
            connection.settimeout(10)
            attacker.join()
            arrived = b""
            try:
                while more := connection.recv(65536):
                    arrived += more
            except ConnectionResetError:
                return None
    return arrived


LINE = b"POST /path HTTP/1.1\r\n"


@pytest.mark.parametrize("at", [1, 10, len(ONE.bytes)])
def test_client_that_leaves(at: int) -> None:
    """It sends that many bytes after the request line and no more; or it ends by a reset."""
    assert received(replace(ONE, closes_at=at)) == LINE + ONE.bytes[:at]
    assert received(replace(ONE, closes_at=at, resets=True)) is None


def test_outcomes_keep_their_order() -> None:
    requests = [
        replace(ONE, kind=str(number), closes_at=9 if number % 3 == 0 else None)
        for number in range(40)
    ]
    with fault_server() as server:
        outcomes = attack(server.url, "/", requests)
    assert outcomes == [
        Outcome(str(number), "left" if number % 3 == 0 else "200") for number in range(40)
    ]
