"""Uploads that wait for each other, so that a known number of them is in flight at one moment."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from typing import IO, Annotated

import anyio.from_thread
from fastapi import HTTPException, Query, Request

from lab_apps.practices.uploads.target import Target

WAIT_S = 30.0


class MeetingTarget(Target):
    """A target whose first piece waits until as many uploads have got that far.

    Whoever writes it holds at that moment the most that it will hold: all bytes, or a chunk.
    """

    def __init__(self, file: IO[bytes], barrier: asyncio.Barrier) -> None:
        super().__init__(file)
        self._barrier = barrier

    def write(self, piece: bytes) -> int:
        """See `Target`; raises HTTPException 503 where the others don't come within 30 s."""
        if piece and not self.size:
            anyio.from_thread.run(self._meet)
        return super().write(piece)

    async def _meet(self) -> None:
        try:
            async with asyncio.timeout(WAIT_S):
                await self._barrier.wait()
        except TimeoutError:
            number = self._barrier.parties
            detail = f"waited {WAIT_S:g} s for {number} uploads: send as many as `together` says"
            raise HTTPException(503, detail) from None


def target(
    request: Request, together: Annotated[int, Query(ge=1, le=32)] = 1
) -> Iterator[MeetingTarget]:
    """A file in the target folder; `together` uploads to this path meet at their first piece.

    Each that waits holds a thread of the pool, which has 40.
    """
    barriers: dict[tuple[str, int], asyncio.Barrier] = request.app.state.barriers
    barrier = barriers.setdefault((request.url.path, together), asyncio.Barrier(together))
    # The file goes when the request has been answered: a lab that keeps them fills the disk.
    with tempfile.NamedTemporaryFile(dir=request.app.state.folder) as file:
        yield MeetingTarget(file, barrier)
