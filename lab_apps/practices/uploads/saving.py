"""Ways to save an upload. They differ in how much of it they hold in memory at a time."""

from __future__ import annotations

import shutil
import tempfile
from typing import Annotated

from fastapi import APIRouter, Depends, File, Request, UploadFile
from fastapi.concurrency import run_in_threadpool

from lab_apps.practices.uploads.meeting import MeetingTarget, target

router = APIRouter()

KIB, MIB = 2**10, 2**20

Upload = Annotated[UploadFile, File()]
To = Annotated[MeetingTarget, Depends(target)]
Saved = dict[str, int | str]


@router.post("/file-bytes", response_model=None)
async def file_bytes(file: Annotated[bytes, File()], to: To) -> Saved:
    """`bytes`: FastAPI reads the whole file into memory before it calls the route."""
    await run_in_threadpool(to.write, file)
    return to.saved()


@router.post("/read-whole", response_model=None)
async def read_whole(file: Upload, to: To) -> Saved:
    """`await file.read()`: the whole file in memory."""
    await run_in_threadpool(to.write, await file.read())
    return to.saved()


@router.post("/chunks-64-kib", response_model=None)
async def chunks_64_kib(file: Upload, to: To) -> Saved:
    """Chunks of 64 KiB: little memory, and two hops to a thread for each."""
    return await in_chunks(file, to, 64 * KIB)


@router.post("/chunks-1-mib", response_model=None)
async def chunks_1_mib(file: Upload, to: To) -> Saved:
    """Chunks of 1 MiB."""
    return await in_chunks(file, to, MIB)


@router.post("/chunks-50-mib", response_model=None)
async def chunks_50_mib(file: Upload, to: To) -> Saved:
    """The article's constant and its loop: a chunk is let go when the next one has been read."""
    while chunk := await file.read(50 * MIB):
        await run_in_threadpool(to.write, chunk)
    return to.saved()


async def in_chunks(file: UploadFile, to: MeetingTarget, size: int) -> Saved:
    """Save the file `size` bytes at a time, with one chunk in memory."""
    while chunk := await file.read(size):
        await run_in_threadpool(to.write, chunk)
        del chunk  # or it stays until the next one has been read
    return to.saved()


@router.post("/def-copy", response_model=None)
def def_copy(file: Upload, to: To) -> Saved:
    """A `def` route: the standard library copies 1 MiB at a time, all in one thread."""
    shutil.copyfileobj(file.file, to, MIB)
    return to.saved()


@router.post("/body", response_model=None)
async def body(request: Request, to: To) -> Saved:
    """`await request.body()`: the raw body in memory, at first twice, in pieces and joined."""
    await run_in_threadpool(to.write, await request.body())
    return to.saved()


@router.post("/stream", response_model=None)
async def stream(request: Request, to: To) -> Saved:
    """`request.stream()`: the raw body as it comes, never all of it, and without a spool."""
    async for piece in request.stream():
        await run_in_threadpool(to.write, piece)
    return to.saved()


@router.post("/spooled", response_model=None)
async def spooled(file: Upload) -> dict[str, int | str | bool | None]:
    """What a route finds at its first line: the whole file is there, beyond 1 MiB on disk."""
    return {
        "size": file.size,
        "in_memory": file.file.name is None,  # a spooled file has a name once it is a real file
        "folder": tempfile.gettempdir(),
    }


@router.get("/victim", response_model=None)
async def victim() -> dict[str, str]:
    """Another route of the same service, with no work to speak of."""
    return {"victim": "served"}
