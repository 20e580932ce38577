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
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect

from lab_apps.practices.uploads.bearer import CLOSE, signed_in
from lab_apps.practices.uploads.display import display_name
from lab_apps.practices.uploads.landing import landing
from lab_apps.practices.uploads.parser import LimitedParser
from lab_apps.practices.uploads.target import Target

router = APIRouter()

LIMIT = 16 * 2**20  # of the whole body
CHUNK = 2**20
CHARSETS = (b"utf-8", b"utf8", b"us-ascii")
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


@router.post("/safe", status_code=201, openapi_extra=BODY, dependencies=[Depends(signed_in)])
async def safe(request: Request) -> Stored:
    """Store a multipart upload under a random id; whoever isn't signed in is refused before it.

    It takes the `Request`, so dependencies run before the body, and the body passes through a
    parser with a limit. Answers 400 to a malformed body, a missing file, an empty one (what a
    browser sends when none was chosen) and another charset than UTF-8, 413 over the limit, 415 to
    another content type, and 507 when the disk is full, be it the spool's or the folder's. But for
    201, nothing stays.
    """
    check_content_type(request.headers.get("content-type", ""))
    with refusals():
        form = await LimitedParser(request, LIMIT).parse()
        try:
            file = form.get("file")
            if not isinstance(file, UploadFile) or not file.size:
                raise HTTPException(400, "send a file that isn't empty in the field `file`")
            with landing(request.app.state.folder) as landed:
                target = Target(landed.file)
                await run_in_threadpool(copy, file, target)
                name = display_name(file.filename or "")
                stored = Stored(id=landed.id, name=name, size=target.size, sha256=target.sha256)
                await form.close()
                # A thread isn't cancelled: who was cancelled meanwhile hears of it here.
                await anyio.lowlevel.checkpoint_if_cancelled()
                # With the end of this block the file gets its name: nothing may fail after that.
                return stored
        except BaseException:
            with anyio.CancelScope(shield=True):
                await form.close()
            raise


def check_content_type(header: str) -> None:
    """Raise HTTPException 415 for what is no form, 400 for a charset other than UTF-8.

    The parser would decode names and fields with any codec that the client names, some of which
    take long, on the event loop.
    """
    kind, options = parse_options_header(header)
    if kind != b"multipart/form-data":
        raise HTTPException(415, "send multipart/form-data", CLOSE)
    if options.get(b"charset", b"utf-8").lower() not in CHARSETS:
        raise HTTPException(400, "names and fields must be UTF-8", CLOSE)


def copy(file: UploadFile, target: Target) -> None:
    """Copy the spooled file, and return when its bytes are on the disk."""
    shutil.copyfileobj(file.file, target, CHUNK)
    target.file.flush()
    os.fsync(target.file.fileno())


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Turn what may go wrong with an upload into its status, as an HTTPException."""
    try:
        yield
    except MultiPartException as error:
        raise HTTPException(400, error.message, CLOSE) from error
    except ClientDisconnect as error:  # nobody is there to hear it
        raise HTTPException(400, "the client left before its upload was whole") from error
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise HTTPException(507, "no space left to store the upload", CLOSE) from error
