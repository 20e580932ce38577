"""The other service: chat completions as slow as the request says, and counts of what was asked.

Written on bare ASGI, since it shares the machine with what is measured. In the query stand
`latency_ms`, its wait before the answer or before each piece of a stream, `pieces`, the length of a
stream, and `status`. `GET /counts` tells what it has been asked; see `Counts`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

Scope = dict[str, Any]
Receive = Any  # uvicorn's method: Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

COMPLETION = {"id": "lab", "created": 0, "model": "lab"}


@dataclass
class Counts:
    """Calls since the start: `begun`, and of these `finished`, or `left` by a caller that hung up.

    `retries` are those that the SDK itself calls so, `pieces` what streams have sent,
    `connections` those that calls came by, `at_once` the most calls in progress at a time, since
    the counts were last told.
    """

    begun: int = 0
    finished: int = 0
    left: int = 0
    retries: int = 0
    pieces: int = 0
    at_once: int = 0
    connections: int = 0

    @property
    def in_progress(self) -> int:
        """Calls that have begun and not ended."""
        return self.begun - self.finished - self.left


class Upstream:
    """An ASGI app; its counts begin with it."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.connections: set[Any] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or see the app through its life."""
        if scope["type"] == "lifespan":
            for event in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{event}.complete"})
        elif scope["path"] == "/counts":
            await start(send, 200, "application/json")
            await more(send, json.dumps(dataclasses.asdict(self.counts)), last=True)
            self.counts.at_once = self.counts.in_progress
        else:
            await self.call(scope, receive, send)

    async def call(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One call of the SDK."""
        stream = json.loads(await body(receive)).get("stream", False)
        counts = self.counts
        # uvicorn's own object: ports are used again, so an address is no connection.
        self.connections.add(receive.__self__.transport)
        counts.connections = len(self.connections)
        counts.begun += 1
        counts.at_once = max(counts.at_once, counts.in_progress)
        counts.retries += (b"x-stainless-retry-count", b"0") not in scope["headers"]
        query = {
            name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()
        }
        stays = self.streamed if stream else self.answered
        if await stays(query, receive, send):
            counts.finished += 1
        else:
            counts.left += 1

    async def answered(self, query: dict[str, str], receive: Receive, send: Send) -> bool:
        """A whole answer; False where the caller leaves before it."""
        if await leaves(receive, float(query["latency_ms"])):
            return False
        message = {"role": "assistant", "content": "pong"}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        answer = {**COMPLETION, "object": "chat.completion", "choices": choices}
        await start(send, int(query.get("status", 200)), "application/json")
        await more(send, json.dumps(answer), last=True)
        return True

    async def streamed(self, query: dict[str, str], receive: Receive, send: Send) -> bool:
        """An answer in pieces; False where the caller leaves before the last."""
        await start(send, 200, "text/event-stream")
        for number in range(int(query["pieces"])):
            if await leaves(receive, float(query["latency_ms"])):
                return False
            choices = [{"index": 0, "delta": {"content": f"{number} "}, "finish_reason": None}]
            chunk = {**COMPLETION, "object": "chat.completion.chunk", "choices": choices}
            await more(send, f"data: {json.dumps(chunk)}\n\n")
            self.counts.pieces += 1
        await more(send, "data: [DONE]\n\n", last=True)
        return True


async def body(receive: Receive) -> bytes:
    """The whole body of the request."""
    message = await receive()
    received: bytes = message["body"]
    while message["more_body"]:
        message = await receive()
        received += message["body"]
    return received


async def leaves(receive: Receive, latency_ms: float) -> bool:
    """Wait that long; True at once where the caller has left."""
    if not latency_ms:
        return False
    leaving: asyncio.Future[Any] = asyncio.ensure_future(receive())
    await asyncio.wait({leaving}, timeout=latency_ms / 1e3)
    gone = leaving.done()
    leaving.cancel()
    return gone


async def start(send: Send, status: int, content_type: str) -> None:
    """The head of an answer."""
    headers = [(b"content-type", content_type.encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def more(send: Send, text: str, *, last: bool = False) -> None:
    """A part of its body."""
    await send({"type": "http.response.body", "body": text.encode(), "more_body": not last})


def create_app() -> Upstream:
    """An upstream whose counts begin at 0."""
    return Upstream()


app = create_app()
