"""The server: what it serves, how it fails, and that it leaves nothing behind."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import apps
import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from helpers import TESTS, interrupted, needs_proc, no_leftovers, refuses, wait_until
from targets import OwnError

from lab_apps.instruments import load, server, thread
from lab_apps.instruments.schedule import closed
from lab_apps.instruments.server import Server, listener, serve
from lab_apps.instruments.wire import Stream

LOOPS: tuple[server.Loop, ...] = ("auto", "asyncio")
CALIBRATION = "lab_apps.instruments.calibration:create_app"


@pytest.fixture(autouse=True)
def _apps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TESTS))


def get(url: str) -> Any:
    return httpx.get(url, timeout=20).json()


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


def check_cpu_of_the_pool_is_seen(where: Any, cpu_s: Callable[[Server], float | None]) -> None:
    """0.2 s on a pool thread are in the process's CPU time, and no second of waiting is."""
    with serve("apps:kinds", where=where) as one:
        before_s = cpu_s(one)
        assert get(one.url + "/burn?cpu_s=0.2") == "burnt"
        assert get(one.url + "/def?hold_s=0.3") == "def"
        after_s = cpu_s(one)
    assert before_s is not None
    assert after_s is not None
    assert 0.2 <= after_s - before_s < 0.45


@pytest.mark.parametrize("where", ["thread", "process"])
def test_cpu_of_all_threads(where: Any) -> None:
    check_cpu_of_the_pool_is_seen(where, lambda one: one.cpu_s())


@pytest.mark.parametrize("broken", [lambda one: one.loop_cpu_s(), lambda _: time.monotonic()])
def test_check_sees_other_clocks(broken: Callable[[Server], float | None]) -> None:
    with pytest.raises(AssertionError):
        check_cpu_of_the_pool_is_seen("process", broken)


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
    stop = thread.ThreadServer.stop
    kept: list[thread.ThreadServer] = []
    monkeypatch.setattr(thread.ThreadServer, "stop", lambda self: kept.append(self))
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
    monkeypatch.setattr(thread, "START_TIMEOUT_S", 0.2)
    with no_leftovers(), pytest.raises(TimeoutError, match="started"), serve(apps.startup_hangs):
        pytest.fail("the block must not run")


@needs_proc
def test_lifespan_that_hangs_at_shutdown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thread, "STOP_TIMEOUT_S", 0.5)
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
