"""Several workers behind one socket: all answer, failures have reasons, and none is left behind."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from helpers import TESTS, children, interrupted, needs_proc, no_leftovers, runs, wait_until
from targets import OwnError

from lab_apps.instruments import workers
from lab_apps.instruments.child import ChildError
from lab_apps.instruments.workers import WorkersServer, serve_workers

APP = "worker_apps:app"
GONE_WITHIN_S = 2.0
pytestmark = needs_proc


@pytest.fixture(autouse=True)
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", f"{TESTS}{os.pathsep}{tmp_path}")
    monkeypatch.setenv("LAB_NOTES", str(tmp_path))
    return tmp_path


def answering(server: WorkersServer, count: int) -> list[int]:
    """The workers that answer, found by stopping each that has: only another can accept then."""
    pids: list[int] = []
    try:
        for _ in range(count):
            pids.append(int(httpx.get(f"{server.url}/pid", timeout=10).text))
            os.kill(pids[-1], signal.SIGSTOP)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    return pids


def ask(url: str, path: str) -> socket.socket:
    """A connection with one request sent."""
    client = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=20)
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return client


def refuses(url: str) -> bool:
    """Whether nothing listens there any more."""
    try:
        ask(url, "/").close()
    except ConnectionRefusedError:
        return True
    return False


# What is served.


@pytest.mark.parametrize(
    ("count", "loop", "name"), [(1, "asyncio", "asyncio"), (2, "uvloop", "uvloop"), (3, "auto", "")]
)
def test_all_workers_answer_and_end(count: int, loop: Any, name: str, notes: Path) -> None:
    with no_leftovers():
        with serve_workers(APP, count, loop=loop) as server:
            assert server.where == "workers"
            assert server.loop == (name or "uvloop")
            pids = server.pids
            assert len(set(pids)) == count
            assert sorted(answering(server, count)) == sorted(pids)
            assert {os.getsid(pid) for pid in pids} == {server._child.pid} != {os.getsid(0)}
        assert not any(runs(pid) for pid in pids)
        assert refuses(server.url)
    assert {file.name for file in notes.glob("ended*")} == {f"ended {pid}" for pid in pids}


def test_costs_of_the_workers() -> None:
    with serve_workers(APP, 2) as server:
        before_s = server.cpu_s() or 0.0
        httpx.get(server.url)
        assert 0.1 < before_s < (server.cpu_s() or 0.0)  # to import an app costs more than that
        assert (server.run_queue_wait_s() or 0.0) > 0
        assert server.loop_cpu_s() is None


# What can't be served.


WRONG = [(OwnError, 2), ("worker_apps", 2), ("worker_apps:", 2), (":app", 2), (APP, 0), (APP, -1)]


@pytest.mark.parametrize(("app", "count"), WRONG)
def test_wrong_arguments(app: Any, count: int) -> None:
    named = repr(app) if count > 0 else f"not {count}"
    with no_leftovers(), pytest.raises(ValueError, match=named), serve_workers(app, count):
        pytest.fail("the block must not run")


FAILING = {
    "no_such_module:app": "No module named 'no_such_module'",
    "apps:missing": "no attribute 'missing'",
    "apps:not_an_app": "no ASGI app",
    "apps:startup_fails": "OwnError: no database",
    "apps:startup_exits": "SystemExit: no configuration",
    "apps:says_that_startup_failed": "no database",
    "worker_apps:dying": "status 7; last words: out of luck",
}


@pytest.mark.parametrize("app", FAILING)
def test_app_that_fails_at_the_start(app: str) -> None:
    begun_s = time.monotonic()
    failure = pytest.raises(ChildError, match=f"'{app}' can't start: .*{FAILING[app]}")
    with no_leftovers(), failure, serve_workers(app, 2):
        pytest.fail("the block must not run")
    assert time.monotonic() - begun_s < 10


def test_workers_that_started_end_in_order_where_another_fails(notes: Path) -> None:
    one_fails = pytest.raises(ChildError, match="File")
    with no_leftovers(), one_fails, serve_workers("worker_apps:alone", 2):
        pytest.fail("the block must not run")
    assert (notes / "ended").exists()


def test_lifespan_that_hangs_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "START_TIMEOUT_S", 1.5)
    monkeypatch.setattr(workers, "GRACE_S", 0)
    late = pytest.raises(TimeoutError, match="0 of 2 workers")
    with no_leftovers(), late, serve_workers("apps:startup_hangs", 2):
        pytest.fail("the block must not run")


# How it ends.


def test_exception_in_the_block() -> None:
    with no_leftovers(), pytest.raises(OwnError, match="mine"), serve_workers(APP, 2):
        raise OwnError("mine")


@pytest.mark.parametrize("app", [APP, "apps:startup_hangs"], ids=["in the block", "at the start"])
def test_interrupt(app: str) -> None:
    """It ends the workers as well, which are no descendants of this process any more then."""
    before, seen = set(children(os.getpid())), set()
    look = threading.Timer(1.2, lambda: seen.update(set(children(os.getpid())) - before))
    look.start()
    with no_leftovers(), interrupted(1.6), serve_workers(app, 2) as server:
        while True:
            assert len(server.pids) == 2
    assert len(seen) >= 4
    assert wait_until(lambda: not any(runs(pid) for pid in seen), GONE_WITHIN_S)


def test_lifespan_that_fails_at_the_end() -> None:
    failure = pytest.raises(ChildError, match="OwnError: still busy")
    with no_leftovers(), failure, serve_workers("apps:shutdown_fails", 2):
        pass


@pytest.mark.parametrize(("kind", "ended"), [("block", 1), ("await", 2)])
def test_request_in_flight_does_not_hold_up_the_end(
    kind: str, ended: int, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The awaiting one is cancelled, and its lifespan ends; the blocked worker is killed."""
    monkeypatch.setattr(workers, "GRACE_S", 1)
    with no_leftovers():
        with serve_workers(APP, 2) as server, ask(server.url, f"/{kind}?hold_s=60"):
            assert wait_until((notes / kind).exists, 10)
            ending_s = time.monotonic()
        assert time.monotonic() - ending_s < 10
    assert len(list(notes.glob("ended*"))) == ended


def test_worker_that_dies_is_replaced() -> None:
    with no_leftovers(), serve_workers(APP, 2) as server:
        gone, stays = server.pids
        os.kill(gone, signal.SIGKILL)
        assert wait_until(lambda: len({*server.pids} - {gone}) == 2, 20)
        assert stays in server.pids
        assert sorted(answering(server, 2)) == sorted(server.pids)


def test_server_that_is_lost(notes: Path) -> None:
    """A worker whose replacement fails: `pids` says why, and so does the end of the block."""
    seen: list[str] = []

    def lose_a_worker() -> None:
        with serve_workers(APP, 2) as server:
            (notes / "broken").touch()
            os.kill(server.pids[0], signal.SIGKILL)
            try:
                while server.pids:
                    time.sleep(0.1)
            except ChildError as error:
                seen.append(f"{error}; refuses: {refuses(server.url)}")

    with no_leftovers(), pytest.raises(ChildError, match="no database"):
        lose_a_worker()
    assert "no database; refuses: True" in seen[0]


def test_supervisor_that_is_killed() -> None:
    servers: list[WorkersServer] = []

    def lose_it() -> None:
        with serve_workers(APP, 2) as server:
            servers.append(server)
            assert server._child.pid is not None
            os.kill(server._child.pid, signal.SIGKILL)

    with no_leftovers(), pytest.raises(ChildError, match="has ended"):
        lose_it()
    with no_leftovers(), pytest.raises(ChildError, match="has stopped"):
        assert servers[0].pids
    assert wait_until(lambda: refuses(servers[0].url), GONE_WITHIN_S)
