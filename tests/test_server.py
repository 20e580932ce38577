"""The server: what it serves, how it fails, and that it leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import apps
import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from helpers import (
    TESTS,
    children,
    interrupted,
    needs_proc,
    no_leftovers,
    runs,
    wait_until,
)
from targets import OwnError

from lab_apps.instruments import load, server
from lab_apps.instruments.calibration import OK
from lab_apps.instruments.child import ChildError
from lab_apps.instruments.schedule import closed
from lab_apps.instruments.server import listener, serve
from lab_apps.instruments.wire import Stream

LOOPS: tuple[server.Loop, ...] = ("auto", "asyncio")
CALIBRATION = "lab_apps.instruments.calibration:create_app"


@pytest.fixture(autouse=True)
def _apps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TESTS))


def get(url: str) -> Any:
    return httpx.get(url, timeout=20).json()


def refuses(url: str) -> bool:
    """Whether nothing listens there any more."""
    host, port = url.removeprefix("http://").split(":")
    with socket.socket() as sock:
        return sock.connect_ex((host, int(port))) != 0


def serve_and_use(loop: server.Loop = "auto") -> None:
    """One life of a server: the loop, the pool, a kept connection, the probe."""
    with serve(apps.kinds, loop=loop, tokens=5, probe=True) as one, httpx.Client() as client:
        for route in ("def", "async", "await"):
            assert client.get(f"{one.url}/{route}").json() == route
        assert len(one.readings().at_ns) >= 0


# What is served.


def test_listener() -> None:
    with listener() as sock:
        assert sock.proto == socket.IPPROTO_TCP
        assert sock.family == socket.AF_INET
        assert sock.type == socket.SOCK_STREAM
        host, port = sock.getsockname()
        assert host == "127.0.0.1"
        assert port > 0


@pytest.mark.parametrize(
    ("loop", "name", "where"),
    [
        ("auto", "uvloop", "thread"),
        ("uvloop", "uvloop", "thread"),
        ("asyncio", "asyncio", "thread"),
        ("asyncio", "asyncio", "process"),
    ],
)
def test_names_its_loop_and_place(loop: server.Loop, name: str, where: Any) -> None:
    with serve(CALIBRATION, loop=loop, where=where) as one:
        assert (one.loop, one.where) == (name, where)
        assert one.url.startswith("http://127.0.0.1:")
        assert get(one.url + "/null") == {"ok": True}
    assert refuses(one.url)


@pytest.mark.parametrize(
    "app",
    [
        apps.bare,
        apps.makes_bare,
        apps.an_object,
        "apps:bare",
        "apps:makes_bare",
        "apps:an_object",
    ],
)
def test_every_kind_of_app(app: server.App) -> None:
    with serve(app) as one:
        assert httpx.get(one.url).text == "bare"


NO_APPS = ["", "apps", "apps:", ":bare", "apps:missing", "no_such_module:app", "apps:not_an_app"]
NO_APPS += ["apps:makes_nothing", ".apps:bare", "http://127.0.0.1:80"]


@pytest.mark.parametrize(
    ("spec", "where"), [*((spec, "thread") for spec in NO_APPS), ("apps:missing", "process")]
)
@needs_proc
def test_what_is_no_app_is_named(spec: str, where: Any) -> None:
    with no_leftovers(), pytest.raises(ValueError, match="app") as caught, serve(spec, where=where):
        pass
    assert repr(spec) in str(caught.value)


def test_a_process_needs_a_name_and_makes_its_socket() -> None:
    with pytest.raises(ValueError, match="module:name"), serve(apps.bare, where="process"):
        pass
    with (
        listener() as sock,
        pytest.raises(ValueError, match="sock"),
        serve(CALIBRATION, where="process", sock=sock),
    ):
        pass


def test_two_servers_at_once() -> None:
    """Each has its own port, loop and pool."""
    with (
        serve(apps.kinds, tokens=2, probe=True) as one,
        serve(apps.kinds, tokens=4, probe=True, loop="asyncio") as two,
    ):
        assert one.url != two.url
        assert (one.loop, two.loop) == ("uvloop", "asyncio")
        stream = Stream("def", "/def?hold_s=0.03", closed(8, requests=12), b'"def"')
        for server_, size in ((one, 2), (two, 4), (one, 2)):
            assert load.send(server_.url, stream).errors == {}
            assert server_.readings().tokens.max() == size
    assert refuses(one.url)
    assert refuses(two.url)


@pytest.mark.parametrize("tokens", [1, 3, None])
def test_tokens_set_the_size_of_the_pool(tokens: int | None) -> None:
    size = tokens or 40
    app = FastAPI()
    inside = most = 0
    lock = threading.Lock()

    @app.get("/")
    def hold() -> str:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        time.sleep(0.03)
        with lock:
            inside -= 1
        return "ok"

    with serve(app, tokens=tokens) as one:
        stream = Stream("def", "/", closed(size + 5, requests=2 * size + 10), b'"ok"')
        assert load.send(one.url, stream).errors == {}
    assert most == size


def test_readings_need_a_probe() -> None:
    with serve(apps.bare) as one, pytest.raises(ValueError, match="probe=True"):
        one.readings()


@needs_proc
def test_server_in_a_process() -> None:
    with no_leftovers():
        with serve("apps:kinds", where="process", tokens=3, probe=True) as one:
            stream = Stream("def", "/def?hold_s=0.03", closed(5, requests=15), b'"def"')
            before = one.loop_cpu_s()
            load.send(one.url, stream)
            assert one.readings().tokens.max() == 3
            after = one.loop_cpu_s()
            assert before is not None
            assert after is not None
            assert after > before
            waited = one.run_queue_wait_s()
            assert waited is not None
            assert waited >= 0
        assert refuses(one.url)
        load._worker.close()


def test_numbers_after_the_end() -> None:
    """Of a server that has stopped nothing can be asked, and asking harms nobody."""
    with serve(apps.bare, probe=True) as one:
        pass
    assert one.loop_cpu_s() is None
    assert wait_until(lambda: one.run_queue_wait_s() is None, 2)  # until the system is done with it
    assert len(one.readings().at_ns) >= 0


# Nothing is left behind.


@needs_proc
def test_hundred_servers_leave_nothing() -> None:
    """In ten threads and one after the other; every one used its thread pool."""
    serve_and_use()
    serve_and_use("asyncio")
    with no_leftovers():
        with ThreadPoolExecutor(10) as pool:
            lives = [pool.submit(serve_and_use, LOOPS[n % 2]) for n in range(95)]
        for life in lives:
            life.result()
        for _ in range(5):
            serve_and_use()


@needs_proc
def test_check_sees_a_server_that_is_not_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = server._ThreadServer.stop
    kept: list[server._ThreadServer] = []
    monkeypatch.setattr(server._ThreadServer, "stop", lambda self: kept.append(self))
    with pytest.raises(AssertionError, match="left behind"), no_leftovers(within_s=0.1):
        serve_and_use()
    stop(kept[0])


# Lifespans that fail.


@needs_proc
@pytest.mark.parametrize("where", ["thread", "process"])
@pytest.mark.parametrize(
    ("app", "error", "says"),
    [
        ("apps:startup_fails", OwnError, "no database"),
        ("apps:says_that_startup_failed", RuntimeError, "lifespan"),
    ],
)
def test_lifespan_that_fails_at_startup(
    app: str, error: type[Exception], says: str, where: Any
) -> None:
    begun = time.monotonic()
    with no_leftovers(), pytest.raises(error, match=says) as caught, serve(app, where=where):
        pytest.fail("the block must not run")
    assert type(caught.value) is error
    assert time.monotonic() - begun < 5


@needs_proc
def test_lifespan_that_exits() -> None:
    with (
        no_leftovers(),
        pytest.raises(SystemExit, match="no configuration"),
        serve(apps.startup_exits),
    ):
        pytest.fail("the block must not run")


@needs_proc
@pytest.mark.parametrize("where", ["thread", "process"])
def test_lifespan_that_raises_at_shutdown(where: Any) -> None:
    begun = time.monotonic()
    with (
        no_leftovers(),
        pytest.raises(OwnError, match="still busy"),
        serve("apps:shutdown_fails", where=where) as one,
    ):
        assert httpx.get(one.url).status_code == 404
    assert time.monotonic() - begun < 5
    assert refuses(one.url)


@needs_proc
def test_lifespan_that_hangs_at_startup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "START_TIMEOUT_S", 0.2)
    with no_leftovers(), pytest.raises(TimeoutError, match="started"), serve(apps.startup_hangs):
        pytest.fail("the block must not run")


@needs_proc
def test_lifespan_that_hangs_at_shutdown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "STOP_TIMEOUT_S", 0.5)
    with no_leftovers(), pytest.raises(TimeoutError, match="ended"), serve(apps.shutdown_hangs):
        pass


@needs_proc
def test_interrupt_while_it_starts() -> None:
    with no_leftovers(), interrupted(0.3), serve(apps.startup_hangs):
        pytest.fail("the block must not run")


@needs_proc
def test_server_thread_that_dies_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise OwnError("no loop")

    monkeypatch.setattr(uvicorn.Server, "run", broken)
    with no_leftovers(), pytest.raises(OwnError, match="no loop"), serve(apps.bare):
        pytest.fail("the block must not run")


# Handlers that are at work when the server is stopped.


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

    with socket.socket() as client:
        try:
            with serve(app) as one:
                host, port = one.url.removeprefix("http://").split(":")
                client.connect((host, int(port)))
                client.sendall(f"GET /{route} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
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
    monkeypatch.setattr(server, "GRACE_S", 0.6)
    with no_leftovers():
        assert least_s < stop_while(route, hold_s) < most_s


@needs_proc
def test_handler_that_blocks_too_long_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the server ends in good order when it is through."""
    monkeypatch.setattr(server, "STOP_TIMEOUT_S", 0.2)
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


@needs_proc
def test_interrupt_while_asking_a_server_in_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends the server; the block ends with the interrupt, not with another error."""

    def interrupt(*_: object) -> bool:
        signal.raise_signal(signal.SIGINT)
        return False

    def ask() -> None:
        with serve(CALIBRATION, where="process") as one, monkeypatch.context() as patch:
            patch.setattr("multiprocessing.connection.Connection.poll", interrupt)
            one.readings()

    with no_leftovers(), pytest.raises(KeyboardInterrupt):
        ask()


@needs_proc
def test_server_process_that_is_killed() -> None:

    def kill() -> None:
        load._worker.close()
        with serve(CALIBRATION, where="process") as one:
            (pid,) = children(os.getpid())
            os.kill(pid, signal.SIGKILL)
            assert wait_until(lambda: not runs(pid), 5)
            trial = load.send(one.url, Stream("one", "/null", closed(2, requests=10), OK))
            assert trial.errors == {"refused": 10}
            load._worker.close()

    with no_leftovers(), pytest.raises(ChildError, match="ended"):
        kill()


# A parent that is killed.

PARENT = f"""
import sys, time
sys.path.insert(0, {str(TESTS)!r})
from lab_apps.instruments import load
from lab_apps.instruments.schedule import closed
from lab_apps.instruments.server import serve
from lab_apps.instruments.wire import Stream
with serve("apps:kinds", where="process") as one:
    load.send(one.url, Stream("s", "/async", closed(4, requests=8), b'"async"'))
    print(one._child.pid, load.worker_pid(), one.url, flush=True)
    {{last}}
    time.sleep(60)
"""
LASTS = {
    "idle": "pass",
    "under load": "load.send(one.url, Stream('s', '/def', closed(4, seconds=60), b'\"def\"'))",
    "loop blocked": "load.send(one.url, Stream('s', '/async?hold_s=60', closed(1, requests=1)))",
}


@needs_proc
@pytest.mark.parametrize("last", LASTS)
def test_nothing_outlives_a_killed_parent(last: str) -> None:
    script = PARENT.format(last=LASTS[last])
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        assert parent.stdout is not None
        server_pid, worker_pid, url = parent.stdout.readline().split()
        pids = {int(server_pid), int(worker_pid)}
        assert children(parent.pid) == pids
        time.sleep(0.2)
    finally:
        parent.kill()
        parent.communicate()
    assert wait_until(lambda: refuses(url) and not any(runs(pid) for pid in pids), 2)
