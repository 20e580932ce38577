"""Every refusal answers as it should; and how much of the body it has taken in by then, counted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Body, FastAPI, HTTPException, Request
from fastapi.middleware import Middleware
from starlette.datastructures import Headers

from lab_apps.instruments.intake import Intake, offer
from lab_apps.instruments.server import serve
from lab_apps.practices.uploads import app, refusing
from lab_apps.practices.uploads.gate import Gate
from lab_apps.practices.uploads.refusing import (
    COUNTED,
    FRAMEWORK,
    GATE,
    LIMIT,
    NONE,
    OWN,
    REFUSALS,
    WITHIN_LIMIT,
    Refusal,
)

SIZE = 4 * 2**20
PIECE = 2**16
TOKEN = {"authorization": "Bearer lab"}

# What is taken in of a body whose length is declared, and of one whose length is not.
TAKEN_IN = {
    (NONE, 401): ("all", "all"),
    (NONE, 404): ("all", "all"),
    (NONE, 413): ("all", "all"),
    (OWN, 401): ("nothing", "nothing"),
    (OWN, 404): ("nothing", "nothing"),
    (COUNTED, 413): ("limit", "limit"),
    (GATE, 401): ("nothing", "nothing"),
    (GATE, 413): ("nothing", "all"),
    (FRAMEWORK, 413): ("nothing", "limit"),
}


def body(kind: str, size: int) -> tuple[str, bytes]:
    """Content type, and a body with so many bytes of content as that kind of route takes it."""
    if kind == "json":
        return "application/json", json.dumps({"data": "x" * size}).encode()
    if kind == "stream":
        return "application/octet-stream", bytes(size)
    head = b'--lab\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    return "multipart/form-data; boundary=lab", head + bytes(size) + b"\r\n--lab--\r\n"


def headers(refusal: Refusal, size: int, declared: bool) -> dict[str, str]:
    """What belongs to the body, and the token where it is not what is missing."""
    content_type, content = body(refusal.kind, size)
    length = {"content-length": str(len(content))} if declared else {}
    token = {} if refusal.answer == 401 else TOKEN
    return {"content-type": content_type, **length, **token}


def ask(app: Any, refusal: Refusal, declared: bool, size: int = SIZE) -> tuple[int, int]:
    """Status, and bytes pulled before it, for so many handed over in pieces of 64 KiB."""
    sent = headers(refusal, size, declared)
    content = body(refusal.kind, size)[1]
    starts = iter(range(0, len(content), PIECE))
    scope = {
        "type": "http",
        "method": "POST",
        "path": refusal.path,
        "root_path": "",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
    }

    async def receive() -> Any:
        start = next(starts)
        more = start + PIECE < len(content)
        return {"type": "http.request", "body": content[start : start + PIECE], "more_body": more}

    statuses = []

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    counting = Intake(app)
    asyncio.run(counting(scope, receive, send))
    (status,), (pulled,) = statuses, counting.taken
    return status, pulled


def expected(refusal: Refusal, declared: bool) -> str:
    if refusal.kind == "stream" and refusal.answer == 413 and not declared:
        return "limit"  # whatever stands before it: the route itself counts
    return TAKEN_IN[refusal.remedy, refusal.answer][0 if declared else 1]


def check_refusal(app: Any, refusal: Refusal, declared: bool) -> None:
    whole = len(body(refusal.kind, SIZE)[1])
    ranges = {"nothing": (0, 0), "all": (whole, whole), "limit": (LIMIT + 1, LIMIT + PIECE)}
    least, most = ranges[expected(refusal, declared)]
    status, pulled = ask(app, refusal, declared)
    assert status == refusal.answer
    assert least <= pulled <= most


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.path[10:])
def test_refusal(refusal: Refusal, declared: bool) -> None:
    check_refusal(app, refusal, declared)


def check_within_limit(app: Any, refusal: Refusal, declared: bool) -> None:
    """A limit is no authentication: within it the body is taken in before the answer, or not."""
    size = LIMIT // 2
    whole = len(body(refusal.kind, size)[1])
    pulled = {"upload": whole, "json": whole, "stream": 0, "form": 0}[refusal.kind]
    assert ask(app, refusal, declared, size) == (401, pulled)


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("refusal", WITHIN_LIMIT, ids=lambda refusal: refusal.path[10:])
def test_within_limit(refusal: Refusal, declared: bool) -> None:
    check_within_limit(app, refusal, declared)


@pytest.mark.parametrize("refusal", WITHIN_LIMIT, ids=lambda refusal: refusal.path[10:])
def test_over_limit_nobody_is_asked_who_they_are(refusal: Refusal) -> None:
    assert ask(app, refusal, True) == (413, 0)


async def takes_bytes(_: Annotated[bytes, Body()]) -> None:
    """A dependency gets its turn only when the body is there."""


async def reads_first(request: Request) -> None:
    await request.body()
    raise HTTPException(401)


async def does_not_read() -> None:
    raise HTTPException(413)


@pytest.mark.parametrize(
    ("number", "endpoint", "checks"),
    [
        (0, refusing.stream, refusing.SIGNED_IN),
        (2, reads_first, []),
        (3, refusing.form, []),
    ],
)
def test_check_sees_others_within_limit(
    number: int, endpoint: Callable[..., Any], checks: list[Any]
) -> None:
    broken, refusal = FastAPI(), WITHIN_LIMIT[number]
    broken.post(refusal.path, dependencies=checks)(endpoint)
    with pytest.raises(AssertionError):
        check_within_limit(broken, refusal, True)


@pytest.mark.parametrize(
    ("path", "declared", "endpoint", "checks"),
    [
        ("/refusing/stream/401", True, takes_bytes, refusing.SIGNED_IN),
        ("/refusing/form/401", False, reads_first, []),
        ("/refusing/json/413", True, does_not_read, []),
        ("/refusing/max-body-size/upload/413", False, refusing.upload, []),
        ("/refusing/stream/413", True, takes_bytes, []),
    ],
)
def test_check_sees_other_refusals(
    path: str, declared: bool, endpoint: Callable[..., Any], checks: list[Any]
) -> None:
    broken = FastAPI()
    broken.post(path, dependencies=checks)(endpoint)
    (refusal,) = (one for one in REFUSALS if one.path == path)
    with pytest.raises(AssertionError):
        check_refusal(broken, refusal, declared)


class LateGate(Gate):
    """Asks for the body before it looks at the headers."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await super().__call__(scope, receive, send)


def test_check_sees_a_gate_that_asks_for_the_body() -> None:
    broken = FastAPI(middleware=[Middleware(LateGate, limit=LIMIT)])
    (refusal,) = (one for one in REFUSALS if one.path == "/refusing/middleware/upload/401")
    with pytest.raises(AssertionError):
        check_refusal(broken, refusal, True)


@pytest.mark.parametrize("digits", [20, 5000])
def test_gate_and_a_length_of_many_digits(digits: int) -> None:
    """More than int() would read."""
    answer = Gate(app, LIMIT).refusal(Headers({**TOKEN, "content-length": "9" * digits}))
    assert answer is not None
    assert answer.status_code == 413


def check_ends_the_connection(path: str, *sent: tuple[str, str]) -> None:
    """The server closes; it doesn't take all from a client that goes on sending."""
    content = bytes(64 * 2**20)
    with serve(app) as server:
        answer = offer(server.url, path, content, headers=sent, stops=False)
    assert answer.status in (401, 404, 413)
    assert answer.handed_bytes < len(content)


@pytest.mark.parametrize("kind", refusing.KINDS)
def test_gate_ends_the_connection(kind: str) -> None:
    check_ends_the_connection(f"/refusing/middleware/{kind}/401")
    token = ("Authorization", "Bearer lab")
    check_ends_the_connection(f"/refusing/middleware/{kind}/413", token)


def test_check_sees_a_connection_that_goes_on() -> None:
    with pytest.raises(AssertionError):
        check_ends_the_connection("/refusing/stream/404")


def test_all_are_listed() -> None:
    """Each kind of body with each answer, with and without a remedy; no path twice."""
    listed = {(one.kind, one.answer, one.remedy): one.path for one in REFUSALS}
    assert len(listed) == len(REFUSALS) == len(set(listed.values())) == 24
    assert {remedy for *_, remedy in listed} == {NONE, OWN, COUNTED, GATE, FRAMEWORK}
    assert not set(listed.values()) & {one.path for one in WITHIN_LIMIT}
    assert [one.kind for one in WITHIN_LIMIT] == [*refusing.KINDS]
    for kind in refusing.KINDS:
        for answer in (401, 404, 413):
            assert f"/refusing/{kind}/{answer}" in listed.values()


def test_over_the_wire() -> None:
    """The same through a server and its buffers: who takes in nothing and who takes in all."""
    counting = Intake(app)
    with serve(counting) as server, httpx.Client(base_url=server.url, timeout=20) as client:
        for refusal in REFUSALS:
            content = body(refusal.kind, SIZE)[1]
            sent = headers(refusal, SIZE, True)
            answer = client.post(refusal.path, headers=sent, content=content)
            assert answer.status_code == refusal.answer
    for refusal, pulled in zip(REFUSALS, counting.taken, strict=True):
        whole = len(body(refusal.kind, SIZE)[1])
        match expected(refusal, True):
            case "nothing":
                assert pulled == 0
            case "all":
                assert pulled == whole
            case "limit":
                assert LIMIT < pulled < whole


def test_what_is_not_refused() -> None:
    """With the token, an album that is there, and no more than the limit."""
    with serve(app) as server, httpx.Client(base_url=server.url, timeout=20) as client:
        for refusal in [*REFUSALS, *WITHIN_LIMIT]:
            size = LIMIT if refusal.remedy in (NONE, OWN, COUNTED) else LIMIT - 1000
            content_type, content = body(refusal.kind, size)
            sent = {**TOKEN, "content-type": content_type}
            answer = client.post(f"{refusal.path}?album=1", headers=sent, content=content)
            assert (answer.status_code, answer.json()) == (200, {"received": size})


def test_form_without_a_file() -> None:
    with serve(app) as server:
        answer = httpx.post(f"{server.url}/refusing/form/413", data={"file": "text"})
        assert answer.status_code == 400
        assert httpx.post(f"{server.url}/refusing/form/413", content=b"x").status_code == 400
