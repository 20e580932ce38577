"""Stopping: prompt where nothing is under way, patient where something is."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import apps
import httpx
import pytest
import uvicorn
from fastapi import BackgroundTasks, FastAPI
from helpers import interrupted, needs_proc, no_leftovers, refuses, runs, wait_until

from lab_apps.instruments import load, stopping, thread
from lab_apps.instruments.calibration import OK
from lab_apps.instruments.schedule import closed
from lab_apps.instruments.server import Loop, serve
from lab_apps.instruments.stopping import PromptServer
from lab_apps.instruments.wire import Stream

CALIBRATION = "lab_apps.instruments.calibration:create_app"
LOOPS: tuple[Loop, ...] = ("auto", "asyncio")


def connect(url: str) -> socket.socket:
    """A connection to the server."""
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=5)


def sends(client: socket.socket, path: str) -> None:
    """Send a request and don't wait for its answer."""
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())


# Nothing is under way.


def check_stops_promptly(use: Callable[[str], object], loop: Loop = "auto") -> None:
    """Ten servers start and stop in a third of the 2 s that uvicorn's own stop would take."""
    begun = time.monotonic()
    for _ in range(10):
        with serve(apps.kinds, loop=loop) as one:
            use(one.url)
        assert refuses(one.url)
    assert time.monotonic() - begun < 0.7


def nothing(_: str) -> None:
    """Send no request."""


@pytest.mark.parametrize("loop", LOOPS)
def test_idle_server_stops_promptly(loop: Loop) -> None:
    check_stops_promptly(nothing, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_kept_connection_does_not_hold_it_up(loop: Loop) -> None:
    with httpx.Client() as client:
        check_stops_promptly(lambda url: client.get(url + "/def"), loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_load_just_ended_does_not_hold_it_up(loop: Loop) -> None:
    some = Stream("some", "/def", closed(4, requests=8))
    with serve(apps.bare) as one:
        load.send(one.url, some)  # starts the worker
    check_stops_promptly(lambda url: load.send(url, some), loop)


@pytest.mark.parametrize("method", ["main_loop", "shutdown"])
def test_check_sees_uvicorns_own_pace(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PromptServer, method, getattr(uvicorn.Server, method))
    with pytest.raises(AssertionError):
        check_stops_promptly(nothing)


def check_date_moves() -> None:
    """The Date header of an idle server is a new one within 2 s."""
    with serve(apps.bare) as one:
        first = httpx.get(one.url).headers["date"]
        assert wait_until(lambda: httpx.get(one.url).headers["date"] != first, 2)


def test_date_header_moves() -> None:
    check_date_moves()


def test_check_sees_a_date_that_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "TICK_S", 60)
    with pytest.raises(AssertionError):
        check_date_moves()


def test_stop_before_the_start_and_after_the_end() -> None:
    never = PromptServer(uvicorn.Config(apps.bare))
    never.stop()
    assert never.should_exit
    with serve(apps.bare) as one:
        assert isinstance(one, thread.ThreadServer)
    one._server.stop()


@needs_proc
@pytest.mark.parametrize("loop", LOOPS)
def test_connection_made_as_it_stops_is_closed(loop: Loop) -> None:
    with serve(apps.bare, loop=loop):
        pass  # what the loop's module keeps open is there from now on
    with no_leftovers():
        for _ in range(20):
            with serve(apps.bare, loop=loop) as one:
                client = connect(one.url)
            with client, contextlib.suppress(ConnectionResetError):
                assert client.recv(1) == b""


# Something is under way.


def check_work_is_finished() -> None:
    """A request that is being answered, and work that an answer has left behind."""
    app = FastAPI()
    begun = threading.Barrier(3)
    done: list[str] = []

    async def work(name: str) -> None:
        await asyncio.to_thread(begun.wait, 5)
        await asyncio.sleep(0.3)
        done.append(name)

    @app.get("/answer")
    async def answer() -> str:
        await work("answer")
        return "answered"

    @app.get("/leave")
    def leave(tasks: BackgroundTasks) -> str:
        tasks.add_task(work, "task")
        return "left"

    with contextlib.ExitStack() as clients:
        with serve(app) as one:
            first, second = (clients.enter_context(connect(one.url)) for _ in range(2))
            sends(first, "/answer")
            sends(second, "/leave")
            begun.wait(5)
        assert sorted(done) == ["answer", "task"]
        assert b'"answered"' in first.recv(65536)
        assert b'"left"' in second.recv(65536)


def test_work_is_finished() -> None:
    check_work_is_finished()


def test_check_sees_a_hasty_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    shutdown = PromptServer.shutdown

    async def hasty(self: PromptServer, sockets: Any = None) -> None:
        self.server_state.tasks.clear()
        self.server_state.connections.clear()
        await shutdown(self, sockets)

    monkeypatch.setattr(PromptServer, "shutdown", hasty)
    with pytest.raises(AssertionError):
        check_work_is_finished()


def stop_while(route: str, hold_s: float) -> float:
    """Seconds that a server takes to stop while that route is at work on one request."""
    begun = threading.Event()
    app = FastAPI()

    @app.get("/async")
    async def in_async() -> None:
        begun.set()
        time.sleep(hold_s)  # noqa: ASYNC251

    @app.get("/def")
    def in_def() -> None:
        begun.set()
        time.sleep(hold_s)

    @app.get("/await")
    async def awaits() -> None:
        begun.set()
        await asyncio.sleep(hold_s)

    with contextlib.ExitStack() as clients:
        try:
            with serve(app) as one:
                sends(clients.enter_context(connect(one.url)), f"/{route}")
                assert begun.wait(5)
                ending = time.monotonic()
        finally:
            took_s = time.monotonic() - ending
    assert refuses(one.url)
    return took_s


@needs_proc
@pytest.mark.parametrize(
    ("route", "hold_s", "least_s", "most_s"),
    [
        ("async", 0.5, 0.4, 2),  # nothing can stop it: it is waited for
        ("def", 0.5, 0.4, 2),
        ("await", 0.5, 0.4, 2),
        ("await", 60, 0.5, 4),  # cancelled after the time of grace
        ("def", 1.2, 0.5, 4),  # a thread ends by itself; the server does not wait for it
    ],
)
def test_stop_while_a_handler_works(
    route: str, hold_s: float, least_s: float, most_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thread, "GRACE_S", 0.6)
    with no_leftovers():
        assert least_s < stop_while(route, hold_s) < most_s


@needs_proc
def test_handler_that_blocks_too_long_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the server ends in good order when it is through."""
    monkeypatch.setattr(thread, "STOP_TIMEOUT_S", 0.2)
    with no_leftovers(within_s=5), pytest.raises(TimeoutError, match="restart the kernel"):
        stop_while("async", 1.4)


# Interrupts.


@needs_proc
@pytest.mark.parametrize("where", ["thread", "process"])
def test_interrupt_under_load(where: Any) -> None:
    """A server that is stopped, and a worker that can be used again."""
    endless = Stream("endless", "/wait/5", closed(4, seconds=60), OK)
    with no_leftovers():
        with contextlib.suppress(KeyboardInterrupt), serve(CALIBRATION, where=where) as one:
            load.send(one.url, Stream("one", "/null", closed(1, requests=1), OK))
            pid = load.worker_pid()
            with interrupted(0.3):
                load.send(one.url, endless)
            raise KeyboardInterrupt  # as it would have gone on
        assert pid is not None
        assert not runs(pid)
        assert load.worker_pid() is None
        assert refuses(one.url)
    with serve(CALIBRATION, where=where) as one:
        trial = load.send(one.url, Stream("one", "/null", closed(4, requests=100), OK))
    assert trial.errors == {}
    assert len(trial.rows) == 100
    load._worker.close()
