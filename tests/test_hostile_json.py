"""The corpus is what it says, and the client tells apart what became of each body, and ends."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

import pytest
from fastapi import FastAPI, Request, Response
from helpers import Reply, fault_server, needs_proc, no_leftovers, refuses, response
from pydantic import BaseModel

from lab_apps.instruments import json_fragments as fragments
from lab_apps.instruments.hostile_json import Answer, Body, ask, corpus
from lab_apps.instruments.server import serve

DOCUMENT = {
    "name": "Ada",
    "age": 20,
    "score": 1.5,
    "active": True,
    "address": {"city": "Łódź 😀", "lines": ["a", 2]},
}
VALID = json.dumps(DOCUMENT).encode()
FIELDS = {"name", "age", "score", "active", "address", "address.city", "address.lines"}
FIELDS |= {"address.lines.0", "address.lines.1"}
DAMAGED = {"1 truncated", "1 flipped", "1 inserted", "1 deleted", "5 flipped"}
KINDS = {
    *(fragments.VALUES | fragments.KEYS | fragments.DOCUMENTS | fragments.ENDS),
    *fragments.ENCODINGS,
    *(f"bytes: {damage}" for damage in DAMAGED),
    "document: single quotes",
}
# Of corpus(VALID, 1): it is the same on every Python and machine.
HASH = "db94f8165d0e23f943607cf2edfc9b8003bdee929b18bf0a8fdebefea50e53e3"

Make = Callable[[bytes, int, int], list[Body]]


def hashed(bodies: list[Body]) -> str:
    """Of kinds, fields and bytes."""
    return sha256(repr([(one.kind, one.field, one.bytes) for one in bodies]).encode()).hexdigest()


def check_corpus(make: Make) -> None:
    """Of every kind and in every field, all different, the same from the same seed, and small."""
    bodies = make(VALID, 1, 600)
    assert bodies == make(VALID, 1, 600)
    assert {one.bytes for one in bodies} != {one.bytes for one in make(VALID, 2, 600)}
    assert len({one.bytes for one in bodies} - {VALID}) == len(bodies) == 600
    assert {one.kind for one in make(VALID, 2, 220)} == KINDS
    assert {one.field for one in bodies} == FIELDS | {""}
    assert sum(len(one.bytes) for one in bodies) < 6e6
    assert hashed(bodies) == HASH


def test_corpus() -> None:
    check_corpus(corpus)


@pytest.mark.parametrize(
    "broken",
    [
        lambda valid, _, count: corpus(valid, 1, count),
        lambda valid, seed, count: corpus(valid, seed, count - 1),
        lambda valid, seed, count: [*corpus(valid, seed, count)[1:], Body("", "", valid)],
        lambda valid, seed, count: corpus(valid, seed, count // 2) * 2,
        lambda valid, seed, count: [
            one for one in corpus(valid, seed, 2 * count) if one.kind != "number: NaN"
        ][:count],
        lambda valid, seed, count: [replace(one, field="") for one in corpus(valid, seed, count)],
        lambda valid, seed, count: corpus(valid, seed, count)[::-1],
    ],
)
def test_check_sees_another_corpus(broken: Make) -> None:
    with pytest.raises(AssertionError):
        check_corpus(broken)


@pytest.mark.parametrize("count", [0, 1, 100, 600, 3000])
def test_fewer_are_the_beginning_of_more(count: int) -> None:
    for valid in (VALID, b' {"a":1}\n'):
        assert corpus(valid, 3, count) == corpus(valid, 3, 3000)[:count]


@pytest.mark.parametrize(
    ("valid", "error"),
    [
        (b"", "Expecting value"),
        (b"[1]", "must be a JSON object"),
        (b"{}", "with a field"),
        (b"1", "must be a JSON object"),
        (b"{'a': 1}", "Expecting property name"),
        (b'{"a": "\xff"}', "invalid start byte"),
    ],
)
def test_what_is_no_object_is_refused(valid: bytes, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        corpus(valid, 1)


def of(kind: str) -> dict[str, bytes]:
    """The bodies of that kind by field, from far more than there are."""
    return {one.field: one.bytes for one in corpus(VALID, 1, 3000) if one.kind == kind}


def test_one_value_is_another() -> None:
    """The rest is as it was, at every depth."""
    for field, body in of("type: null").items():
        expected = json.loads(VALID)
        *outer, last = [int(key) if key.isdigit() else key for key in field.split(".")]
        inner = expected
        for key in outer:
            inner = inner[key]
        inner[last] = None
        assert json.loads(body) == expected
    assert of("type: null").keys() == FIELDS


def test_templates() -> None:
    """A text keeps what was in it, a number its digits, and a key goes or comes twice."""
    assert json.loads(of("text: newline after")["name"])["name"] == "Ada\n"
    assert json.loads(of("text: high surrogate")["address.city"])["address"]["city"] == (
        "Łódź 😀\ud800"
    )
    assert b'"score": "1.5"' in of("number: its own, as text")["score"]
    assert of("number: its own, as text").keys() == {"age", "score", "address.lines.1"}
    assert of("number: 5000 digits")["name"].count(b"9") == 5000
    assert json.loads(of("key: missing")["address.city"]) == {
        **DOCUMENT,
        "address": {"lines": ["a", 2]},
    }
    assert b'"age": null, "age": 20' in of("key: twice, null first")["age"]
    assert b'"\\u0061\\u0067\\u0065": 20' in of("key: escaped")["age"]
    assert json.loads(of("key: escaped")["age"]) == DOCUMENT
    assert b'"AGE": 20' in of("key: in the other case")["age"]


def test_depth_and_encodings() -> None:
    for kind in (kind for kind in KINDS if kind.startswith("depth")):
        (body,) = of(kind).values()
        opened = max(body.count(b"["), body.count(b"{"))
        depth = int(kind.split()[1])
        assert depth <= opened <= depth + 2
    for kind in fragments.ENCODINGS:
        assert json.loads(of(kind)[""]) == DOCUMENT
    assert len(json.loads(of("key: 10000 unknown")[""])) == 10_000 + len(DOCUMENT)


BODY = Body("one", "age", b'{"age": NaN}')


class Aged(BaseModel):
    """A body that can be refused."""

    age: int


def app() -> FastAPI:
    """A route with a model, and one that returns what it got."""
    made = FastAPI()

    @made.post("/aged")
    async def aged(one: Aged) -> Aged:
        return one

    @made.post("/got")
    async def got(request: Request) -> Response:
        names = ("content-type", "content-length", "x-lab")
        headers = [request.headers.get(name, "-") for name in names]
        return Response(" ".join(headers).encode() + b"\n" + await request.body())

    return made


def test_statuses() -> None:
    """Also of the bodies after a 500, after which uvicorn closes the connection."""
    sent = [b'{"age": 1}', b"{}", b"NaN"] * 3 + [b'{"age": "1"}']
    with serve(app()) as server:
        answers = ask(server.url, "/aged", [replace(BODY, bytes=one) for one in sent])
    assert [answer.status for answer in answers] == [200, 422, 500] * 3 + [200]
    assert {answer.kind for answer in answers} == {"one"}
    assert json.loads(answers[0].body) == json.loads(answers[-1].body) == {"age": 1}


def test_what_is_sent() -> None:
    """Every body arrives as it is, whatever is in it."""
    bodies = corpus(VALID, 1, 250)
    with serve(app()) as server:
        answers = ask(server.url, "/got", bodies, headers=[("X-Lab", "yes")])
    for body, answer in zip(bodies, answers, strict=True):
        head = f"application/json {len(body.bytes)} yes\n".encode()
        assert answer == Answer(body.kind, 200, head + body.bytes)


def whole(status: str, body: bytes = b"said") -> Reply:
    """An answer after which the server closes."""
    return Reply((response(body, status),), "close")


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nsa\r\n2\r\nid\r\n0\r\n\r\n"


@needs_proc
@pytest.mark.parametrize(
    ("reply", "status", "body"),
    [
        (whole("200 OK"), 200, b"said"),
        (whole("422 Unprocessable Content"), 422, b"said"),
        (whole("500 Internal Server Error", b""), 500, b""),
        (Reply((CHUNKED,), "close"), 200, b"said"),
        (Reply((CHUNKED[:-5],), "close"), 0, b""),
        (Reply((response(b"said")[:-1],), "close"), 0, b""),
        (Reply((b"HTTP/1.1 100 Continue\r\n\r\n", response(b"said")), "close"), 200, b"said"),
        (Reply((b"HTTP/1.1 2",), "close"), 0, b""),
        (Reply((b"no HTTP",), "close"), 0, b""),
        (Reply((), "close"), 0, b""),
        (Reply((), "hang"), 0, b""),
        (Reply((b"HTTP/1.1 200 OK\r\n",), "hang"), 0, b""),
        (Reply((b"HTTP/1.1 200 OK\r\n", *[b"X-Lab: 1\r\n"] * 1000), "hang", pause_s=0.1), 0, b""),
    ],
)
def test_answers(reply: Reply, status: int, body: bytes) -> None:
    """An answer that is cut off is none, and one that never ends is not waited for."""
    begun = time.monotonic()
    with no_leftovers(), fault_server(lambda _: reply) as server:
        timeout_s = 0.3 if reply.then == "hang" else 10
        assert ask(server.url, "/", [BODY], timeout_s=timeout_s) == [Answer("one", status, body)]
    assert time.monotonic() - begun < 8


def test_nobody_there() -> None:
    with fault_server() as server:
        url = server.url
    assert refuses(url)
    assert ask(url, "/", [BODY]) == [Answer("one", 0, b"")]


def test_server_that_does_not_read() -> None:
    """Its early answer is seen, although the socket's buffers don't hold all of the body."""
    large = replace(BODY, bytes=bytes(2**24))
    early = Reply((response(b"said", "413 Content Too Large"),), "hang")
    with fault_server(lambda _: early) as server:
        assert ask(server.url, "/", [large], timeout_s=0.3) == [Answer("one", 413, b"said")]


def test_answers_keep_their_order() -> None:
    """One request after the other; one without an answer doesn't shift the rest."""
    replies = {0: Reply((), "close"), 1: whole("422 Unprocessable Content")}
    bodies = [replace(BODY, kind=str(number)) for number in range(30)]
    with fault_server(lambda number: replies.get(number % 3, whole("200 OK"))) as server:
        answers = ask(server.url, "/", bodies)
        assert server.connected == 30
    assert [answer.kind for answer in answers] == [body.kind for body in bodies]
    assert [answer.status for answer in answers] == [0, 422, 200] * 10
