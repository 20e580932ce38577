"""An upload as one would ship it: bounded, authenticated first, whole or not there at all."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from typing import Any

import anyio.lowlevel
from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect

from lab_apps.practices.uploads.bearer import signed_in
from lab_apps.practices.uploads.display import display_name
from lab_apps.practices.uploads.landing import landing
from lab_apps.practices.uploads.parser import LimitedParser
from lab_apps.practices.uploads.target import Target

router = APIRouter()

LIMIT = 16 * 2**20  # of the whole body
CHUNK = 2**20
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

# A route that takes a `Request` has to say itself what FastAPI would read from its parameters.
FORM: dict[str, Any] = {
    "type": "object",
    "properties": {"file": {"type": "string", "format": "binary"}},
    "required": ["file"],
}
BODY = {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": FORM}}}}


class Stored(BaseModel):
    """An upload that is stored: its id, the name to show, its size in bytes and SHA-256."""

    id: str
    name: str
    size: int
    sha256: str


@router.post("/safe", status_code=201, openapi_extra=BODY)
@router.post(
    "/safe/signed-in", status_code=201, openapi_extra=BODY, dependencies=[Depends(signed_in)]
)
async def safe(request: Request) -> Stored:
    """Store a multipart upload under a random id; whoever isn't signed in is refused before it.

    It takes the `Request`, so dependencies run before the body, and the body passes through a
    parser with a limit. Answers 400 to a malformed body, a missing file and an empty one (what a
    browser sends when none was chosen), 413 over the limit, 415 to another content type, and 507
    when the disk is full, be it the spool's or the folder's. But for 201, nothing stays.
    """
    if request.headers.get("content-type", "").partition(";")[0].lower() != "multipart/form-data":
        raise HTTPException(415, "send multipart/form-data")
    with refusals():
        form = await LimitedParser(request, LIMIT).parse()
        try:
            file = form.get("file")
            if not isinstance(file, UploadFile) or not file.size:
                raise HTTPException(400, "send a file that isn't empty in the field `file`")
            with landing(request.app.state.folder) as landed:
                target = Target(landed.file)
                await run_in_threadpool(copy, file, target)
                # A thread isn't cancelled: who was cancelled meanwhile hears of it here.
                await anyio.lowlevel.checkpoint_if_cancelled()
        finally:
            with anyio.CancelScope(shield=True):
                await form.close()
    name = display_name(file.filename or "")
    return Stored(id=landed.id, name=name, size=target.size, sha256=target.sha256)


def copy(file: UploadFile, target: Target) -> None:
    """Copy the spooled file, and return when it is on the disk."""
    shutil.copyfileobj(file.file, target, CHUNK)
    target.file.flush()
    os.fsync(target.file.fileno())


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Turn what may go wrong with an upload into its status, as an HTTPException."""
    try:
        yield
    except MultiPartException as error:
        raise HTTPException(400, error.message) from error
    except UnicodeError as error:  # of a charset that the client chose, such as `undefined`
        raise HTTPException(400, "names must be text in the declared charset") from error
    except ClientDisconnect as error:  # nobody is there to hear it
        raise HTTPException(400, "the client left before its upload was whole") from error
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise HTTPException(507, "no space left to store the upload") from error
