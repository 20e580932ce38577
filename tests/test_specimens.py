"""The specimens run alone, take what they need, and leave nothing behind however they end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeAlias

import httpx
import pytest
from fastapi import FastAPI
from helpers import children, needs_proc, no_leftovers, runs, wait_until
from specimens import SPECIMEN, spawned
from test_pings import check_routes

from lab_apps.instruments.server import serve
from lab_apps.practices import async_routes
from lab_apps.practices.async_routes.resources import lifespan

Lifespan: TypeAlias = Callable[[FastAPI], AbstractAsyncContextManager[None]]
FETCHES = ("/terrible-fetch", "/good-fetch", "/perfect-fetch")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def inside(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def check_lifespan(lifespan: Lifespan, temporary: Path) -> None:
    """One folder with a database of posts and a file, while it lives; and no process without work.

    Processes come with the first work, at most as many as there are pieces of it, and go again.
    """

    async def live(work: int) -> None:
        app = FastAPI()
        async with lifespan(app):
            folder = app.state.file.parent
            assert inside(temporary) == [folder.name]
            assert inside(folder) == ["document", "posts.db"]
            assert app.state.file.stat().st_size == 2**20
            assert len(app.state.document) == 2**24
            count = app.state.db.execute("SELECT count(*), min(id), max(id) FROM posts").fetchone()
            assert count == (1000, 0, 999)
            assert app.state.fates == {}
            assert spawned(os.getpid()) == before
            pids = {app.state.pool.submit(os.getpid).result() for _ in range(work)}
            assert pids <= spawned(os.getpid()) - before
            assert bool(work) <= len(pids) <= work
        assert inside(temporary) == []
        assert wait_until(lambda: spawned(os.getpid()) == before, 2)
        assert app.state.client.is_closed
        assert app.state.async_client.is_closed

    before = spawned(os.getpid())
    asyncio.run(live(0))
    asyncio.run(live(2))


@needs_proc
def test_lifespan(temporary: Path) -> None:
    check_lifespan(lifespan, temporary)


@contextlib.asynccontextmanager
async def with_a_process(app: FastAPI) -> AsyncIterator[None]:
    async with lifespan(app):
        app.state.pool.submit(os.getpid).result()
        yield


@contextlib.asynccontextmanager
async def leaving_a_folder(app: FastAPI) -> AsyncIterator[None]:
    async with lifespan(app):
        yield
    tempfile.mkdtemp()


@contextlib.asynccontextmanager
async def sharing_fates(app: FastAPI) -> AsyncIterator[None]:
    async with lifespan(app):
        app.state.fates = {"def": "finished"}
        yield


@needs_proc
@pytest.mark.parametrize("broken", [with_a_process, leaving_a_folder, sharing_fates])
def test_check_sees_broken_lifespan(broken: Lifespan, temporary: Path) -> None:
    with pytest.raises(AssertionError):
        check_lifespan(broken, temporary)


@needs_proc
def test_twenty_lifespans_leave_nothing(temporary: Path) -> None:
    async def live() -> None:
        async with lifespan(FastAPI()):
            await asyncio.sleep(0)

    def use() -> None:
        with serve(async_routes.app) as server, httpx.Client(base_url=server.url) as client:
            for path in FETCHES:
                assert client.get(path, params={"hold_ms": 1}).status_code == 200

    def compute() -> None:
        with serve(async_routes.app) as server:
            assert httpx.get(f"{server.url}/variance-process?count=9", timeout=20).is_success

    compute()  # starts multiprocessing's tracker of semaphores, which stays
    use()
    asyncio.run(live())
    with no_leftovers():
        for _ in range(20):
            asyncio.run(live())
        use()
        compute()
    assert inside(temporary) == []


@contextlib.contextmanager
def alone() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """As the module says, `uvicorn lab_apps.practices.async_routes:app`, here on any free port.

    In a session of its own, so that an interrupt of all its processes doesn't reach this one.
    """
    command = [sys.executable, "-m", "uvicorn", SPECIMEN, "--port", "0"]
    with subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert process.stderr is not None
            said = ""
            while not (found := re.search(r"running on (http://127\.0\.0\.1:\d+)", said)):
                line = process.stderr.readline()
                assert line, f"uvicorn has ended: {said}"
                said += line
            yield process, found.group(1)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def test_runs_alone() -> None:
    with alone() as (process, url):
        check_routes(url)
        process.terminate()
        _, said = process.communicate(timeout=20)
    assert "Traceback" not in said
    assert "Finished server process" in said


def check_end(way: signal.Signals) -> str:
    """A server that has used its pool ends by that signal, and its processes too; what it said.

    SIGINT goes to all processes, as Ctrl-C in a terminal does.
    """
    with alone() as (process, url):
        assert spawned(process.pid) == set()
        assert (
            httpx.get(f"{url}/variance-process?count=9", timeout=20).json()["variance"] == 80 / 12
        )
        assert spawned(process.pid)
        pids = children(process.pid)
        (os.killpg if way == signal.SIGINT else os.kill)(process.pid, way)
        process.wait(20)
        assert wait_until(lambda: not any(map(runs, pids)), 5)
        _, said = process.communicate(timeout=20)
    return said


@needs_proc
@pytest.mark.parametrize("way", [signal.SIGTERM, signal.SIGINT])
def test_pool_ends_with_its_server(way: signal.Signals, temporary: Path) -> None:
    said = check_end(way)
    assert "Traceback" not in said
    assert "Finished server process" in said
    assert inside(temporary) == []


@needs_proc
def test_pool_ends_with_a_server_that_is_killed(temporary: Path) -> None:
    """Only its temporary folder stays then."""
    check_end(signal.SIGKILL)
    assert len(inside(temporary)) == 1
