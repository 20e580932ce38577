"""What the tests of the safe upload share: folders with canaries, forms, a careless landing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from helpers import TESTS

from lab_apps.practices.uploads import app
from lab_apps.practices.uploads.folder import lifespan
from lab_apps.practices.uploads.landing import Landing

MIB = 2**20
PIECE = 2**16
TOKEN = (("Authorization", "Bearer lab"),)
CONTENT_TYPE = "multipart/form-data ; boundary=lab"


@dataclass(frozen=True)
class Place:
    """A target folder, with canaries in the two folders around it, and a folder for the spool."""

    root: Path

    @property
    def target(self) -> Path:
        return self.root / "around" / "inner" / "target"

    @property
    def spool(self) -> Path:
        return self.root / "spool"

    def stored(self) -> list[Path]:
        return sorted(self.target.iterdir())

    def outside(self) -> dict[str, bytes | None]:
        """Everything but what is in the target folder: paths, and the content of files."""
        found = {path for path in self.root.rglob("*") if self.target not in path.parents}
        return {str(path): path.read_bytes() if path.is_file() else None for path in found}


def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Folders of this test's own, for servers in this process and in others."""
    made = Place(tmp_path)
    made.target.mkdir(parents=True)
    made.spool.mkdir()
    for folder in (made.target.parent, made.target.parent.parent):
        (folder / "canary").write_text("sings")
    monkeypatch.setenv("UPLOADS_FOLDER", str(made.target))
    monkeypatch.setenv("TMPDIR", str(made.spool))
    monkeypatch.setattr(tempfile, "tempdir", str(made.spool))
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    return made


@contextlib.contextmanager
def forgetful(folder: Path) -> Iterator[Landing]:
    """Lands under the temporary name and never cleans up."""
    descriptor, name = tempfile.mkstemp(dir=folder, suffix=".part")
    with os.fdopen(descriptor, "wb") as file:
        yield Landing(name, file)


def upload(url: str, content: bytes, name: str = "plain.bin", **more: Any) -> httpx.Response:
    files = {"file": (name, content)}
    return httpx.post(f"{url}/safe", files=files, headers=[*TOKEN], timeout=20, **more)


def form(size: int) -> bytes:
    """A body of exactly that size."""
    head = b'--lab\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    end = b"\r\n--lab--\r\n"
    return head + bytes(size - len(head) - len(end)) + end


async def ask(
    body: bytes,
    *,
    length: int | str | None = None,
    content_type: str = CONTENT_TYPE,
    token: bool = True,
    leaves: bool = False,
) -> tuple[int, int]:
    """Status and bytes pulled, of a form handed to the app in pieces, and past any server.

    `length` is what is declared; with `leaves` the client disconnects before the last piece.
    """
    headers = [(b"content-type", content_type.encode())]
    if token:
        headers.append((b"authorization", b"Bearer lab"))
    if length is not None:
        headers.append((b"content-length", str(length).encode()))
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/safe",
        "root_path": "",
        "query_string": b"",
        "headers": headers,
    }
    starts = iter(range(0, len(body), PIECE))
    pulled = status = 0

    async def receive() -> Any:
        nonlocal pulled
        start = next(starts)
        piece = body[start : start + PIECE]
        more = start + PIECE < len(body)
        if leaves and not more:
            return {"type": "http.disconnect"}
        pulled += len(piece)
        return {"type": "http.request", "body": piece, "more_body": more}

    async def send(message: Any) -> None:
        nonlocal status
        status = message.get("status", status)

    await app(scope, receive, send)
    return status, pulled


@contextlib.asynccontextmanager
async def begun() -> AsyncIterator[None]:
    async with lifespan(app):
        yield


def asked(*args: Any, **more: Any) -> tuple[int, int]:
    async def once() -> tuple[int, int]:
        async with begun():
            return await ask(*args, **more)

    return asyncio.run(once())
