"""What a server has taken in before it answers: counted to the byte, on both sides."""

from __future__ import annotations

import asyncio
from typing import Any

import apps
import pytest

from lab_apps.instruments import intake
from lab_apps.instruments.intake import Intake, multipart, multipart_type, offer
from lab_apps.instruments.server import serve

SIZE = 8 * 2**20
BODY = bytes(SIZE)


class Refuser:
    """Takes in `after` bytes of a body, then answers 403; all of it with None."""

    def __init__(self, after: int | None, closes: bool = True) -> None:
        self.after, self.closes = after, closes

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return await apps.bare(scope, receive, send)
        seen, more = 0, True
        while more and (self.after is None or seen < self.after):
            message = await receive()
            seen, more = seen + len(message["body"]), message["more_body"]
        headers = [(b"content-length", b"0")] + [(b"connection", b"close")] * self.closes
        await send({"type": "http.response.start", "status": 403, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
        return None


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("ask_first", [False, True])
@pytest.mark.parametrize("after", [0, 2**20, None])
def test_bytes_taken_and_handed_over(after: int | None, ask_first: bool, chunked: bool) -> None:
    with serve(counting := Intake(Refuser(after))) as server:
        answer = offer(server.url, "/", BODY, ask_first=ask_first, chunked=chunked)
    (taken,) = counting.taken
    assert answer.status == 403
    assert taken <= SIZE
    assert answer.handed_bytes >= taken
    if after is None:
        assert taken == answer.handed_bytes == SIZE
    else:
        assert after <= taken < after + 2**19  # a piece of the server's, which is of any size
    assert answer.asked == (ask_first and after != 0)
    if ask_first:
        assert (answer.handed_bytes > 0) == (after != 0)


@pytest.mark.parametrize("closes", [False, True])
def test_client_that_goes_on_after_the_answer(closes: bool) -> None:
    """All of it leaves the client, unless the answer ends the connection."""
    large = bytes(64 * 2**20)
    with serve(counting := Intake(Refuser(0, closes))) as server:
        stopped = offer(server.url, "/", large)
        answer = offer(server.url, "/", large, stops=False)
    assert counting.taken == [0, 0]
    assert stopped.status == answer.status == 403
    assert stopped.handed_bytes < len(large) / 2
    assert (answer.handed_bytes == len(large)) == (not closes)


def test_every_answer_is_counted() -> None:
    with serve(counting := Intake(Refuser(None))) as server:
        for size in (0, 1, 70_000, 3):
            offer(server.url, "/", bytes(size))
    assert counting.taken == [0, 1, 70_000, 3]


async def silent(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        return await apps.bare(scope, receive, send)
    await asyncio.sleep(60)
    return None


def test_a_server_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "TIMEOUT_S", 0.2)
    with serve(silent) as server, pytest.raises(TimeoutError, match="/quiet: nothing happened"):
        offer(server.url, "/quiet", b"abc")


def test_multipart() -> None:
    body = multipart(b"content", filename="a.txt")
    name, value = multipart_type()
    assert name == "Content-Type"
    boundary = value.partition("boundary=")[2].encode()
    assert body.startswith(b"--" + boundary + b"\r\n")
    assert body.endswith(b"\r\ncontent\r\n--" + boundary + b"--\r\n")
    assert b'filename="a.txt"' in body
