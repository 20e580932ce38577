"""Every way to save an upload saves all of it, waits for others when told, and leaves nothing."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, UploadFile
from fastapi.concurrency import run_in_threadpool
from helpers import needs_proc, no_leftovers, wait_until
from specimens import LOOPS

from lab_apps.instruments.server import serve
from lab_apps.practices.uploads import app, meeting, saving
from lab_apps.practices.uploads.folder import lifespan
from lab_apps.practices.uploads.meeting import MeetingTarget, target

MIB = 2**20
SIZES = [0, 1, 2**16, MIB, MIB + 1, 3 * MIB]
MULTIPART = [
    "/file-bytes",
    "/read-whole",
    "/chunks-64-kib",
    "/chunks-1-mib",
    "/chunks-50-mib",
    "/def-copy",
]
RAW = ["/body", "/stream"]
VARIANTS = [*MULTIPART, *RAW]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where uploads are stored."""
    monkeypatch.setenv("UPLOADS_FOLDER", str(tmp_path / "made" / "target"))
    return tmp_path / "made" / "target"


def kept(folder: Path) -> Callable[[Request], Iterator[MeetingTarget]]:
    """The dependency of all variants, with a file that stays."""

    def target(request: Request) -> Iterator[MeetingTarget]:
        path = folder / request.url.path[1:]
        with path.open("wb") as file:
            yield MeetingTarget(file, asyncio.Barrier(1))

    return target


def post(url: str, path: str, content: bytes, **query: int) -> httpx.Response:
    """The content as that path takes it: a field "file", or the raw body."""
    sent: Any = {"content": content} if path in RAW else {"files": {"file": ("a.bin", content)}}
    return httpx.post(url + path, params=query, timeout=40, **sent)


def check_saves(
    app: FastAPI, path: str, folder: Path, loop: Any = "auto", within_s: float = 5
) -> None:
    """Files of all sizes: what is answered is what was sent, and so is what was stored."""
    with serve(app, loop=loop) as server:
        for size in SIZES:
            content = Random(size).randbytes(size)
            answer = post(server.url, path, content)
            assert answer.json() == {"size": size, "sha256": sha256(content).hexdigest()}
            assert wait_until(lambda: not list(folder.iterdir()), within_s)
            app.dependency_overrides[target] = kept(folder)
            try:
                assert post(server.url, path, content).json() == answer.json()
            finally:
                app.dependency_overrides.clear()
            check_stored(folder / path[1:], content, within_s)


def check_stored(file: Path, content: bytes, within_s: float) -> None:
    """It is closed, and so whole, a moment after the answer."""
    wait_until(lambda: file.stat().st_size == len(content), within_s)
    assert file.read_bytes() == content
    file.unlink()


@pytest.mark.parametrize("path", VARIANTS)
def test_saves(path: str, folder: Path) -> None:
    check_saves(app, path, folder)


@pytest.mark.parametrize("path", ["/chunks-1-mib", "/def-copy", "/stream"])
def test_saves_on_the_other_loop(path: str, folder: Path) -> None:
    check_saves(app, path, folder, "asyncio")


async def only_the_first_chunk(file: UploadFile, to: saving.To) -> saving.Saved:
    await run_in_threadpool(to.write, await file.read(MIB))
    return to.saved()


def says_more_than_it_stores(file: UploadFile, to: saving.To) -> saving.Saved:
    content = file.file.read()
    to.write(content[:-1])
    return {"size": len(content), "sha256": sha256(content).hexdigest()}


def keeps_a_copy(file: UploadFile, to: saving.To, request: Request) -> saving.Saved:
    copy = request.app.state.folder / "copy"
    copy.write_bytes(b"")
    return saving.def_copy(file, to)


@pytest.mark.parametrize("broken", [only_the_first_chunk, says_more_than_it_stores, keeps_a_copy])
def test_check_sees_what_is_not_saved(broken: Callable[..., Any], folder: Path) -> None:
    spoiled = FastAPI(lifespan=lifespan)
    spoiled.post("/def-copy", response_model=None)(broken)
    with pytest.raises(AssertionError):
        check_saves(spoiled, "/def-copy", folder, within_s=0.3)


@contextlib.contextmanager
def posting(url: str, path: str, together: int) -> Iterator[Callable[[], Future[httpx.Response]]]:
    """A function that sends 3 MiB in a thread of its own."""
    with ThreadPoolExecutor() as threads:
        yield lambda: threads.submit(post, url, path, bytes(3 * MIB), together=together)


def waiting(path: str, together: int) -> int:
    """How many uploads wait there for others."""
    barrier = app.state.barriers.get((path, together))
    return barrier.n_waiting if barrier else 0


def check_together(path: str, loop: Any = "auto", within_s: float = 20) -> None:
    """Two uploads that were to be three wait; with the third all are answered; and once more."""
    with (
        serve(app, loop=loop) as server,
        posting(server.url, path, 3) as send,
    ):
        for _ in range(2):
            answers = [send(), send()]
            assert wait_until(lambda: waiting(path, 3) == 2, within_s)
            assert httpx.get(f"{server.url}/victim").json() == {"victim": "served"}
            assert not any(answer.done() for answer in answers)
            answers.append(send())
            assert [answer.result(20).json()["size"] for answer in answers] == [3 * MIB] * 3
            assert waiting(path, 3) == 0
        assert wait_until(lambda: not list(app.state.folder.iterdir()), 5)


@pytest.mark.parametrize("path", VARIANTS)
def test_together(path: str) -> None:
    check_together(path)


@pytest.mark.parametrize("loop", LOOPS)
def test_together_on_each_loop(loop: Any) -> None:
    check_together("/stream", loop)


def test_check_sees_who_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MeetingTarget, "_meet", lambda _: run_in_threadpool(int))
    with pytest.raises(AssertionError):
        check_together("/read-whole", within_s=0.5)


@pytest.mark.parametrize("path", ["/chunks-1-mib", "/def-copy"])
def test_others_that_do_not_come(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """503, nothing left, and whoever gave up isn't counted afterwards."""
    with serve(app) as server, posting(server.url, path, 2) as send:
        monkeypatch.setattr(meeting, "WAIT_S", 0.1)
        answer = send().result(20)
        assert answer.status_code == 503
        assert answer.json()["detail"].startswith("waited 0.1 s for 2 uploads")
        monkeypatch.setattr(meeting, "WAIT_S", 30.0)
        one = send()
        assert wait_until(lambda: waiting(path, 2) == 1, 10)
        assert [send().result(20).status_code, one.result(20).status_code] == [200, 200]
        assert wait_until(lambda: not list(app.state.folder.iterdir()), 5)


@pytest.mark.parametrize("together", [0, 33])
def test_number_together_is_bounded(together: int) -> None:
    with serve(app) as server:
        assert post(server.url, "/stream", b"x", together=together).status_code == 422


@needs_proc
def test_server_that_ends_while_an_upload_waits(folder: Path) -> None:
    """It is cancelled twice, by uvicorn and with the loop, which can keep its file from closing."""
    path = "/chunks-1-mib"
    with serve(app):
        pass  # the first loop of a process keeps some descriptors
    with no_leftovers(), ThreadPoolExecutor() as threads:
        with serve(app) as server:
            left = threads.submit(post, server.url, path, bytes(MIB), together=2)
            assert wait_until(lambda: waiting(path, 2) == 1, 10)
        with contextlib.suppress(httpx.HTTPError):
            assert left.result(20).status_code == 500
        gc.collect()
    assert list(folder.iterdir()) == []


def test_folder_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A temporary one, gone with the app; one that was chosen stays."""
    monkeypatch.delenv("UPLOADS_FOLDER", raising=False)
    with serve(app):
        folder: Path = app.state.folder
        assert list(folder.iterdir()) == []
    assert not folder.exists()


def test_folder_that_was_chosen(folder: Path) -> None:
    with serve(app):
        assert app.state.folder == folder
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(("size", "in_memory"), [(0, True), (MIB, True), (MIB + 1, False)])
def test_spool(size: int, in_memory: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file of more than 1 MiB is on disk before the route's first line."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with serve(app) as server:
        answer = post(server.url, "/spooled", bytes(size)).json()
    assert answer == {"size": size, "in_memory": in_memory, "folder": str(tmp_path)}


def test_served_by_name(folder: Path) -> None:
    with serve("lab_apps.practices.uploads:app", where="process") as server:
        assert post(server.url, "/chunks-1-mib", b"lab").json()["size"] == 3
        paths = httpx.get(f"{server.url}/openapi.json").json()["paths"]
    assert {*VARIANTS, "/spooled", "/victim", "/safe"} <= set(paths)
    assert list(folder.iterdir()) == []
