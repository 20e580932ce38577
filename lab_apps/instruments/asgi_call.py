"""A request through an ASGI app without a server, as work to be timed."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Coroutine
from typing import Any


def requesting(app: str, path: str, body: bytes, status: int = 200) -> Callable[[], int]:
    """A function that posts the JSON body to `path` of "module:app" and returns the answer's bytes.

    No socket, no server and no event loop: the app's coroutine runs through at once, so what is
    timed is the app's own CPU. Raises ValueError where the answer has another status, RuntimeError
    where the app waits for something (a pool, a database), which needs a loop.
    """
    module, name = app.split(":")
    asgi: Any = getattr(importlib.import_module(module), name)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    message = {"type": "http.request", "body": body, "more_body": False}

    async def receive() -> dict[str, Any]:
        return message

    def request() -> int:
        sent: list[dict[str, Any]] = []

        async def send(part: dict[str, Any]) -> None:
            sent.append(part)

        _run(asgi(dict(scope), receive, send))
        if sent[0]["status"] != status:
            raise ValueError(f"{path} answered {sent[0]['status']}, not {status}")
        return sum(len(part.get("body", b"")) for part in sent)

    return request


def _run(work: Coroutine[Any, Any, None]) -> None:
    try:
        work.send(None)
    except StopIteration:
        return
    work.close()
    raise RuntimeError("the app waits for something, and there is no event loop")
