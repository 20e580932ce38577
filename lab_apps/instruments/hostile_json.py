"""Hostile JSON bodies from a valid one and a seed, and a client that sends them as they are.

Each departs in one place from the valid document: a number, a text, a type, a key, the depth, the
encoding, the bytes. Some are JSON by RFC 8259, some only by what a parser tolerates, some are none;
which of them a route should accept is not for this module to say. Bodies are bytes throughout: an
encoder would not write most of them.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import re
import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from io import BytesIO
from random import Random
from typing import Any, cast
from urllib.parse import urlsplit

from lab_apps.instruments import json_fragments as fragments
from lab_apps.instruments.hostile import arriving


@dataclass(frozen=True)
class Body:
    """A request's body, what is wrong with it, and the field it is in: "" is the whole document.

    The field of a nested document is a path, such as "address.city" or "tags.0".
    """

    kind: str
    field: str
    bytes: bytes


@dataclass(frozen=True)
class Answer:
    """The status, or 0 where no whole answer came in time, and its body."""

    kind: str
    status: int
    body: bytes


def corpus(valid: bytes, seed: int, count: int = 600) -> list[Body]:
    """That many different bodies, none equal to `valid`, the same for the same arguments.

    `valid` is a JSON object in UTF-8 with at least one field; ValueError for anything else. The
    kinds take turns, so that all are among the first 220, and each goes through the fields, those
    of its own type first; fewer bodies are the beginning of more. 600 have about 3 MB, most of it
    in a few large ones.
    """
    document = json.loads(valid.decode())
    if not isinstance(document, dict) or not document:
        raise ValueError("the valid document must be a JSON object with a field")
    rng = Random(seed)
    by_kind = [
        *_in_fields(document, rng),
        *_in_whole(valid.strip()),
        *_in_bytes(valid.strip(), rng),
    ]
    different = {valid, _json(document)}
    bodies: list[Body] = []
    in_turns = itertools.chain.from_iterable(itertools.zip_longest(*by_kind))
    for body in filter(None, in_turns):
        if len(bodies) == count:
            break
        if body.bytes not in different:
            different.add(body.bytes)
            bodies.append(body)
    return bodies


def ask(
    url: str,
    path: str,
    bodies: Iterable[Body],
    *,
    headers: Sequence[tuple[str, str]] = (),
    timeout_s: float = 10.0,
) -> list[Answer]:
    """POST each as `application/json` to `path`, one after the other; the answers in that order.

    Each with these `headers` besides, on a connection of its own: uvicorn closes one after a 500,
    and the next body would have no answer. `timeout_s` is for one request and only spent on a
    server that keeps silent or does not close.
    """
    to = (urlsplit(url).hostname or "", urlsplit(url).port or 80)
    more = "".join(f"{name}: {value}\r\n" for name, value in headers)
    head = f"POST {path} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n{more}".encode()
    head += b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return [
        Answer(one.kind, *_answer(to, head % len(one.bytes) + one.bytes, timeout_s))
        for one in bodies
    ]


def _answer(to: tuple[str, int], request: bytes, timeout_s: float) -> tuple[int, bytes]:
    deadline = time.monotonic() + timeout_s
    received = BytesIO()
    with contextlib.suppress(OSError), socket.create_connection(to, timeout_s) as connection:
        # A server that has answered early may close while the rest is sent.
        with contextlib.suppress(OSError):
            connection.sendall(request)
        for piece in arriving(connection, deadline):
            received.write(piece)
    if b"\r\n\r\n" not in received.getvalue():  # HTTPResponse would take half a head for whole
        return 0, b""
    received.seek(0)
    response = HTTPResponse(cast(socket.socket, _Received(received)))
    try:
        response.begin()
        return response.status, response.read()
    except HTTPException:
        return 0, b""


@dataclass
class _Received:
    """All that `HTTPResponse` needs of a socket: what has come from it."""

    file: BytesIO

    def makefile(self, _mode: str) -> BytesIO:
        return self.file


@dataclass(frozen=True)
class _Field:
    """A value in the document, and its keys and indices from the outside in."""

    path: tuple[str | int, ...]
    value: Any

    @property
    def type(self) -> str:
        return {str: "text", int: "number", float: "number"}.get(type(self.value), "other")

    def spoilt(self, template: bytes) -> bytes:
        """Its key, if it has one, with that in place of the value."""
        value = _json(self.value)
        text = {"text": value[1:-1], "number": value, "other": b"x"}[self.type]
        return _name(self.path[-1]) + _filled(template, {b"@": text, b"#": value})

    def renamed(self, template: bytes) -> bytes:
        """That in place of its key and value."""
        key = str(self.path[-1])
        escaped = "".join(f"\\u{ord(character):04x}" for character in key).encode()
        marks = {b"@": _json(key)[1:-1], b"#": _json(self.value)}
        marks |= {b"~": escaped, b"^": _json(key.swapcase())[1:-1]}
        return _filled(template, marks)


def _in_fields(document: Any, rng: Random) -> Iterator[list[Body]]:
    """For each kind that is in a field, its bodies: fields of its type first, else in any order."""
    fields = list(_fields(document))
    for kind, template in (fragments.VALUES | fragments.KEYS).items():
        # `shuffle` may change with the version of Python, `random` does not.
        where = sorted(fields, key=lambda _: rng.random())
        where.sort(key=lambda field: not kind.startswith(field.type))
        if kind in fragments.KEYS:
            where = [field for field in where if isinstance(field.path[-1], str)]
        elif kind in fragments.OF_NUMBERS:
            where = [field for field in where if field.type == "number"]
        elif kind in fragments.IN_ONE_FIELD:
            where = where[:1]
        bodies = []
        for field in where:
            spoil = field.renamed if kind in fragments.KEYS else field.spoilt
            name = ".".join(map(str, field.path))
            bodies.append(Body(kind, name, _written(document, field.path, spoil(template))))
        yield bodies


def _in_whole(valid: bytes) -> Iterator[list[Body]]:
    """For each kind of other document, its one body."""
    for kind, template in fragments.DOCUMENTS.items():
        yield [Body(kind, "", _filled(template, {b"#": valid}))]
    for kind, end in fragments.ENDS.items():
        yield [Body(kind, "", valid[:-1] + end)]
    for kind, (mark, encoding) in fragments.ENCODINGS.items():
        yield [Body(kind, "", mark + valid.decode().encode(encoding))]
    yield [Body("document: single quotes", "", valid.replace(b'"', b"'"))]


def _in_bytes(valid: bytes, rng: Random) -> Iterator[Iterator[Body]]:
    """For each kind of random damage, bodies without end."""

    def edited(body: bytes, edit: str) -> bytes:
        at, byte = int(rng.random() * len(body)), int(rng.random() * 256)
        rests = {
            "truncated": b"",
            "flipped": bytes([body[at] ^ (1 << byte % 8)]) + body[at + 1 :],
            "inserted": bytes([byte]) + body[at:],
            "deleted": body[at + 1 :],
        }
        return body[:at] + rests[edit]

    def bodies(edit: str, times: int) -> Iterator[Body]:
        while True:
            damaged = functools.reduce(edited, [edit] * times, valid)
            yield Body(f"bytes: {times} {edit}", "", damaged)

    damages = [("truncated", 1), ("flipped", 1), ("inserted", 1), ("deleted", 1), ("flipped", 5)]
    return itertools.starmap(bodies, damages)


def _fields(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[_Field]:
    """Every value in the document, but the document itself."""
    for key, item in _items(value):
        yield _Field((*path, key), item)
        yield from _fields(item, (*path, key))


def _items(value: Any) -> list[tuple[str | int, Any]]:
    if isinstance(value, dict):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list) else []


def _written(value: Any, path: tuple[str | int, ...], member: bytes) -> bytes:
    """The value as JSON, with `member` in place of the key and value, or the item, at the path."""
    parts = []
    for key, item in _items(value):
        if key != path[0]:
            parts.append(_name(key) + _json(item))
        elif path[1:]:
            parts.append(_name(key) + _written(item, path[1:], member))
        elif member:
            parts.append(member)
    return (b"{%b}" if isinstance(value, dict) else b"[%b]") % b", ".join(parts)


def _name(key: str | int) -> bytes:
    return _json(key) + b": " if isinstance(key, str) else b""


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _filled(template: bytes, marks: dict[bytes, bytes]) -> bytes:
    """The template with what stands for each mark."""
    return re.sub(b"[" + b"".join(marks) + b"]", lambda mark: marks[mark[0]], template)
