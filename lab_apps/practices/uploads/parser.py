"""A multipart parser that stops at a limit and accepts whole messages only."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from fastapi import HTTPException, Request
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser

from lab_apps.practices.uploads.bearer import CLOSE
from lab_apps.practices.uploads.gate import DIGITS

FIELDS, FIELD_BYTES = 10, 2**16


class LimitedParser(MultiPartParser):
    """Starlette's parser for a body of at most `limit` bytes with one file and up to ten fields.

    What goes wrong is raised within the stream it reads: there it closes what it has spooled.
    """

    def __init__(self, request: Request, limit: int) -> None:
        self.request, self.limit = request, limit
        self.ended = False
        super().__init__(
            request.headers,
            self.counted(),
            max_files=1,
            max_fields=FIELDS,
            max_part_size=FIELD_BYTES,
        )

    def on_end(self) -> None:
        """Note that the closing boundary was there (called by the parser)."""
        self.ended = True

    async def counted(self) -> AsyncGenerator[bytes, None]:
        """The body's pieces.

        Raises HTTPException 413 as soon as they pass the limit, or before the first one where the
        declared length does; 400 where they don't add up to it; MultiPartException where they end
        without a closing boundary, which Starlette and python-multipart let pass.
        """
        declared = declared_length(self.request)
        size = 0
        if declared is not None:
            self.check(declared)
        async with aclosing(self.request.stream()) as stream:
            async for piece in stream:
                size += len(piece)
                self.check(size)
                yield piece
        if declared not in (None, size):
            raise HTTPException(400, f"Content-Length was {declared}, received {size} bytes", CLOSE)
        if not self.ended:
            raise MultiPartException("The closing boundary is missing.")

    def check(self, size: int) -> None:
        """Raise HTTPException 413 if that is over the limit."""
        if size > self.limit:
            raise HTTPException(413, f"at most {self.limit} bytes", CLOSE)

    async def parse(self) -> FormData:
        """The form's fields. Raises MultiPartException, and what `counted` raises."""
        async with aclosing(self.stream):
            return await super().parse()


def declared_length(request: Request) -> int | None:
    """The Content-Length in bytes, or None; raises HTTPException 400 for what is no number.

    One of more digits than int() need be asked to read is 10**19, over any limit.
    """
    declared = request.headers.get("content-length")
    if declared is None:
        return None
    if not (declared.isascii() and declared.isdecimal()):
        raise HTTPException(400, f"Content-Length must be a number, not {declared[:30]!r}", CLOSE)
    return int(declared) if len(declared) <= DIGITS else 10**DIGITS
