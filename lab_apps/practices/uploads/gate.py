"""A middleware that answers before anybody has asked for the body."""

from __future__ import annotations

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from lab_apps.practices.uploads.bearer import CHALLENGE, CLOSE, is_signed_in

DIGITS = 19  # of a length; int() refuses thousands of them


class Gate:
    """Answers 401, or 413 to a declared length over `limit` bytes, from the headers alone.

    Plain ASGI: `receive` is handed on and not called, and the connection is closed. A body whose
    length isn't declared passes, and so do websockets.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request or hand it on."""
        if scope["type"] == "http" and (refusal := self.refusal(Headers(scope=scope))):
            await refusal(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def refusal(self, headers: Headers) -> JSONResponse | None:
        """The answer to a request with these headers that may not pass, else None."""
        if not is_signed_in(headers.get("authorization", "")):
            return JSONResponse({"detail": "not signed in"}, 401, CHALLENGE)
        length = headers.get("content-length", "")
        if length.isdecimal() and (len(length) > DIGITS or int(length) > self.limit):
            return JSONResponse({"detail": f"at most {self.limit} bytes"}, 413, CLOSE)
        return None
