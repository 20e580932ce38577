"""Hostile multipart uploads from a seed, and a client that sends them as they are.

An HTTP library would repair or refuse most of them, so they are bytes on raw sockets. Each departs
in one place from RFC 7578 (multipart/form-data) or RFC 9112 (the length of a message), or leaves.
Names climb two folders at most, and absolute ones lead to a folder that doesn't exist: a route that
follows them does no harm where the two folders above its own are a test's.
"""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from random import Random
from urllib.parse import urlsplit

SIZES = (20, 1000, 5000, 5000, 70_000)  # bytes of a file
LARGE = 1_500_000  # more than Starlette keeps of a file in memory
CONNECTIONS = 8
STATUS = re.compile(rb"HTTP/1\.1 ([2-5]\d\d)")  # 1xx is not yet the answer

NAMES = {
    "traversal": [b"../lab-escaped", b"../../lab-escaped", b"a/../../lab-escaped", b"..", b"."],
    "absolute": [b"/nonexistent-lab/escaped", b"//nonexistent-lab/escaped", b"/"],
    "Windows": [rb"..\..\lab-escaped", rb"C:\nonexistent-lab\escaped", rb"\\lab\escaped", b"NUL"],
    "NUL": [b"photo.jpg\0.exe", b"\0", b"../lab-escaped\0.jpg"],
    "300 characters": [b"n" * 300, "é".encode() * 300, "😀".encode() * 300, b"a/" * 150],
    "look-alikes": [
        "..\uff0flab-escaped".encode(),  # full-width solidus
        "\uff0e\uff0e\uff0flab-escaped".encode(),  # and full stops
        "..\uff3clab-escaped".encode(),  # full-width reverse solidus
        "\u2025\u2215lab-escaped".encode(),  # two dot leader, division slash
        "\u2024\u2024\u2044lab-escaped".encode(),  # one dot leaders, fraction slash
    ],
    "bidi": ["photo\u202egpj.exe".encode(), "\u2066..\u2069/lab-escaped".encode()],
    "controls": [b"photo\t.jpg", b"\x1b[31mred", b"\x7f", "\u2028".encode(), "\ufeff".encode()],
    "not UTF-8": [b"\xff\xfe.jpg", b"caf\xe9.txt", b"\xc0\xaf", b"\xed\xa0\x80"],
    "empty": [b"", b" ", "\u200b".encode()],
    "quotes": [b'a\\"; filename=\\"../lab-escaped', b"%2e%2e%2flab-escaped", b"'; rm -rf x"],
    "dots": [b"...", b".htaccess", b"photo.jpg.", b".part"],
}


@dataclass(frozen=True)
class Hostile:
    """One request, without its request line, which `attack` adds.

    The client closes after `closes_at` of the bytes, by a reset where `resets`; with None it sends
    all and waits for an answer. `sha256` is of the file in a well-formed request, whatever the
    file's name, and "" in all others: of those nothing should be stored.
    """

    kind: str
    bytes: bytes
    sha256: str = ""
    closes_at: int | None = None
    resets: bool = False


@dataclass(frozen=True)
class Outcome:
    """What came of one request: its kind, and the status as text or how else it ended.

    "left": the client closed, as intended; "closed": the server did, without an answer; "no
    answer": none in time; "refused": no connection.
    """

    kind: str
    result: str


def corpus(seed: int, count: int = 200) -> list[Hostile]:
    """That many requests in random order, the same for the same seed; from 100 on of every kind."""
    rng = Random(seed)
    requests: list[Hostile] = []
    while len(requests) < count:
        every = [*_named(rng), *_of_other_length(rng), *_malformed(rng), *_left(rng), *_valid(rng)]
        rng.shuffle(every)
        requests += every
    return requests[:count]


def attack(
    url: str,
    path: str,
    requests: Sequence[Hostile],
    *,
    headers: tuple[tuple[str, str], ...] = (),
    timeout_s: float = 10.0,
) -> list[Outcome]:
    """Send each as a POST to `path` on a connection of its own; the outcomes in the same order.

    Each with these `headers` besides its own. Eight at a time. `timeout_s` is for one request and
    only spent on a server that says nothing.
    """
    to = (urlsplit(url).hostname or "", urlsplit(url).port or 80)
    more = "".join(f"{name}: {value}\r\n" for name, value in headers)
    line = f"POST {path} HTTP/1.1\r\n{more}".encode()
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        results = threads.map(lambda request: _result(to, line, request, timeout_s), requests)
        return [Outcome(one.kind, result) for one, result in zip(requests, results, strict=True)]


def _result(to: tuple[str, int], line: bytes, request: Hostile, timeout_s: float) -> str:
    deadline = time.monotonic() + timeout_s
    try:
        connection = socket.create_connection(to, timeout_s)
    except OSError:
        return "refused"
    with connection:
        # A server that has answered early may close while the rest is sent.
        with contextlib.suppress(OSError):
            connection.sendall(line + request.bytes[: request.closes_at])
        if request.closes_at is not None:
            if request.resets:
                now = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
            return "left"
        return _answer(connection, deadline)


def _answer(connection: socket.socket, deadline: float) -> str:
    received = b""
    try:
        for piece in arriving(connection, deadline):
            received += piece
            if status := STATUS.search(received):
                return status[1].decode()
    except TimeoutError:
        return "no answer"
    except OSError:
        return "closed"
    return "closed"


def arriving(connection: socket.socket, deadline: float) -> Iterator[bytes]:
    """What comes until the other side closes; TimeoutError where it has not by that monotonic time.

    What is there by then is still read. Other OSErrors where the connection is reset.
    """
    late = False
    while not late:
        left_s = deadline - time.monotonic()
        late = left_s <= 0
        connection.settimeout(max(0.001, left_s))
        if not (piece := connection.recv(65536)):
            return
        yield piece
    raise TimeoutError


FIELD = b'Content-Disposition: form-data; name="file"'
FILE = FIELD + b'; filename="plain.bin"'


class _Form:
    """A form with one file of random bytes; other parts in it make it a hostile one."""

    def __init__(self, rng: Random, size: int = 0) -> None:
        self.content = rng.randbytes(size or rng.choice(SIZES))
        self.sha256 = sha256(self.content).hexdigest()
        self.mark = b"lab%032x" % rng.getrandbits(128)
        self.content_type = b"multipart/form-data; boundary=" + self.mark

    def body(self, headers: bytes = FILE, content: bytes | None = None) -> bytes:
        """The file, or other content, as the only part."""
        content = self.content if content is None else content
        return self.between(headers)[2:] + content + b"\r\n--%b--\r\n" % self.mark

    def between(self, headers: bytes) -> bytes:
        """What ends a part and begins another."""
        return b"\r\n--%b\r\n%b\r\n\r\n" % (self.mark, headers)

    def request(self, body: bytes, *length: bytes, content_type: bytes | None = None) -> bytes:
        """The body behind its headers; without any for its length it is an honest one."""
        length = length or (b"Content-Length: %d" % len(body),)
        kind = self.content_type if content_type is None else content_type
        headers = [b"Host: lab", *([b"Content-Type: " + kind] if kind else []), *length]
        return b"\r\n".join([*headers, b"", body])


def _named(rng: Random) -> Iterator[Hostile]:
    """Well-formed uploads of files with other names, and one that only RFC 5987 would see."""
    sent = [(kind, b'; filename="%b"' % name) for kind, names in NAMES.items() for name in names]
    star = b"; filename*=UTF-8''..%2f..%2flab-escaped"
    sent += [("filename* too", b'; filename="plain"' + star), ("filename* alone", star)]
    for kind, name in sent:
        form = _Form(rng)
        body = form.body(FIELD + name)
        whole = form.sha256 if name != star else ""
        yield Hostile(f"name: {kind}", form.request(body), whole)


def _of_other_length(rng: Random) -> Iterator[Hostile]:
    """Requests whose length is declared wrongly or by chunks; who promises more leaves."""

    def declared(kind: str, *headers: bytes) -> Hostile:
        return Hostile(f"length: {kind}", form.request(form.body(), *headers))

    form = _Form(rng)
    size = len(form.body())
    honest = b"Content-Length: %d" % size
    chunked = b"Transfer-Encoding: chunked"
    more = declared("too large", b"Content-Length: %d" % (size + rng.randrange(1, 10**6)))
    yield Hostile(more.kind, more.bytes, closes_at=len(more.bytes), resets=rng.random() < 0.5)
    yield declared("too small", b"Content-Length: %d" % (size - rng.randrange(8, 90)))
    yield declared("negative", b"Content-Length: -5")
    yield declared("not a number", b"Content-Length: 0x1f")
    yield declared("huge", b"Content-Length: 1099511627776")
    yield declared("beyond 64 bits", b"Content-Length: " + b"9" * 30)
    yield declared("none", b"X-Lab: none")
    yield declared("two", honest, b"Content-Length: 7")
    yield declared("beside chunks", honest, chunked)
    body = form.body()
    cut = rng.randrange(1, size)
    pieces = b"%x\r\n%b\r\n%x\r\n%b\r\n" % (cut, body[:cut], size - cut, body[cut:])
    yield Hostile("chunks: valid", form.request(pieces + b"0\r\n\r\n", chunked), form.sha256)
    yield Hostile("chunks: broken", form.request(b"zz\r\n" + pieces, chunked))
    unended = form.request(pieces, chunked)
    yield Hostile("chunks: without end", unended, closes_at=len(unended))


def _malformed(rng: Random) -> Iterator[Hostile]:
    """Bodies that are no form, or no form with one file, in requests of honest length."""
    form, inner = _Form(rng), _Form(rng)
    body, multipart = form.body(), b"multipart/form-data"
    mixed = b"\r\nContent-Type: multipart/mixed; boundary=" + inner.mark
    bodies = {
        "boundary: in the header only": form.content,
        "headers missing: Content-Disposition": form.body(b"X-Lab: none"),
        "headers missing: all of the part's": form.body(b""),
        "headers missing: name": form.body(FILE.replace(b' name="file";', b"")),
        "headers missing: filename": form.body(FIELD),
        "headers: thousands": form.body(b"\r\n".join([b"X-Lab: 1"] * 2000)),
        "headers: long": form.body(b"X-Lab: " + b"x" * 10**5),
        "truncated: after the file": body.removesuffix(b"--\r\n") + b"\r\n" + FIELD + b"\r\n\r\nx",
        "no part": b"--%b--\r\n" % form.mark,
        "no body": b"",
        "empty file": form.body(content=b""),
        "nested": form.body(FIELD + mixed, inner.body()),
        "parts: thousands of fields": form.body(FIELD, form.between(FIELD).join([b"x"] * 2000)),
        "parts: thousands of files": form.body(FILE, form.between(FILE).join([b"x"] * 2000)),
    }
    for kind, sent in bodies.items():
        yield Hostile(kind, form.request(sent))
    content_types = {
        "boundary: missing": multipart,
        "boundary: empty": multipart + b"; boundary=",
        "boundary: another": multipart + b"; boundary=other",
        "boundary: too long": multipart + b"; boundary=" + b"b" * 300,
        "headers missing: Content-Type": b"",
        "content type: another": b"application/json",
        "charset: undefined": form.content_type + b"; charset=undefined",
        "charset: utf-7": form.content_type + b"; charset=utf-7",
        "charset: punycode": form.content_type + b"; charset=punycode",
    }
    for kind, sent in content_types.items():
        yield Hostile(kind, form.request(body, content_type=sent))
    for _ in range(6):
        yield Hostile("truncated", form.request(body[: rng.randrange(1, len(body) - 4)]))


def _left(rng: Random) -> Iterator[Hostile]:
    """Valid uploads whose client leaves after a random number of bytes."""
    for size in (0, 0, 0, 0, 0, LARGE):
        form = _Form(rng, size)
        sent = form.request(form.body())
        at = rng.randrange(1, len(sent))
        yield Hostile("disconnect", sent, closes_at=at, resets=rng.random() < 0.5)


def _valid(rng: Random) -> Iterator[Hostile]:
    """Uploads as they should be, some with oddities that are allowed."""
    for size in (0, 0, 1, LARGE):
        form = _Form(rng, size)
        yield Hostile("valid", form.request(form.body()), form.sha256)
    form = _Form(rng)
    yield Hostile("valid: epilogue", form.request(form.body() + b"after the end"), form.sha256)
    form, inside = _Form(rng), _Form(rng).body()
    kind = "valid: a form inside the file"
    yield Hostile(kind, form.request(form.body(content=inside)), sha256(inside).hexdigest())
