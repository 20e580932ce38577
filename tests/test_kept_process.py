"""A process that is kept for the next server: what is new in it each time, and what ends it."""

from __future__ import annotations

import contextlib
import signal
import time
from typing import Any

import httpx
import pytest
from helpers import TESTS, interrupted, needs_proc, no_leftovers, refuses
from targets import OwnError

from lab_apps.instruments import load, process
from lab_apps.instruments.calibration import OK
from lab_apps.instruments.child import ChildError
from lab_apps.instruments.rounds import Rounds
from lab_apps.instruments.schedule import closed
from lab_apps.instruments.server import Loop, Process, Server, serve
from lab_apps.instruments.trial import Trial
from lab_apps.instruments.wire import Stream

CALIBRATION = "lab_apps.instruments.calibration:create_app"
LOOPS: tuple[Loop, ...] = ("auto", "asyncio")


@pytest.fixture(autouse=True)
def _apps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TESTS))


def ask(url: str) -> list[int]:
    """What a route of apps.home says: numbers."""
    said: list[int] = httpx.get(url, timeout=20).json()
    return said


def check_servers_are_new(lives: int = 10) -> None:
    """One process; loop's thread, pool's thread and lifespan are new each time, the old ones gone.

    A pool's threads may take a moment to end, so that one of them may still be there.
    """
    said = []
    with Process() as home:
        for number in range(lives):
            with serve("apps:home", where=home, loop=LOOPS[number % 2]) as one:
                pid, loop_thread = ask(one.url + "/async")
                said.append((pid, loop_thread, *ask(one.url + "/def")))
                assert home.pid == pid
            assert refuses(one.url)
    pids, loops, pids_too, pools, lifespans, threads, descriptors = zip(*said, strict=True)
    assert len({*pids, *pids_too}) == 1
    assert len({*loops, *pools}) == 2 * lives
    assert lifespans == tuple(range(1, lives + 1))
    assert max(threads) <= min(threads) + 1
    for of_a_loop in (descriptors[2::2], descriptors[3::2]):  # the first of each is still importing
        assert max(of_a_loop) <= min(of_a_loop) + 1


@needs_proc
def test_servers_one_after_another() -> None:
    with no_leftovers():
        check_servers_are_new()


@needs_proc
def test_check_sees_servers_that_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process._RemoteServer, "stop", lambda _: None)
    monkeypatch.setattr("test_kept_process.refuses", lambda _: True)
    with no_leftovers(), pytest.raises(AssertionError, match="max"):
        check_servers_are_new(5)


def test_a_kept_process_starts_sooner() -> None:
    def seconds(where: Any) -> float:
        begun = time.monotonic()
        for _ in range(3):
            with serve(CALIBRATION, where=where):
                pass
        return time.monotonic() - begun

    with Process() as home:
        with serve(CALIBRATION, where=home):
            pass
        assert seconds(home) < seconds("process") / 2


def test_rounds_in_a_kept_process() -> None:
    pids = set()
    with Process() as home:

        def arm(server: Server, _: int) -> Trial:
            pids.add(home.pid)
            return load.send(server.url, Stream("null", "/null", closed(1, requests=2), OK))

        rounds = Rounds(lambda: serve(CALIBRATION, where=home), {"a": arm, "b": arm})
        pairs = rounds.pairs("a", "b", lambda a, b: (a.seconds, b.seconds))
        for _ in range(3):
            assert next(pairs).failed == {}
    assert rounds.done == 3
    assert len(pids) == 1


def test_one_server_at_a_time() -> None:
    with Process() as home, serve("apps:bare", where=home) as one:
        with pytest.raises(ValueError, match="one at a time"), serve("apps:bare", where=home):
            pytest.fail("the block must not run")
        assert httpx.get(one.url).text == "bare"


@needs_proc
def test_process_serves_within_its_block() -> None:
    home = Process()
    for _ in range(2):  # before the block, and after it
        with (
            no_leftovers(),
            pytest.raises(ValueError, match="within its block"),
            serve("apps:bare", where=home),
        ):
            pytest.fail("the block must not run")
        with home, serve("apps:bare", where=home):
            assert home.pid is not None
        assert home.pid is None


@needs_proc
@pytest.mark.parametrize(
    ("app", "error"),
    [
        ("apps:missing", ValueError),
        ("apps:startup_fails", OwnError),
        ("apps:startup_exits", ChildError),
        ("apps:shutdown_fails", OwnError),
    ],
)
def test_server_that_fails_does_not_spoil_the_next(app: str, error: type[Exception]) -> None:
    with no_leftovers(), Process() as home:
        with pytest.raises(error), serve(app, where=home):
            pass
        assert home.pid is None
        with serve("apps:home", where=home) as one:
            assert ask(one.url + "/def")[2] == 1


@needs_proc
@pytest.mark.parametrize("error", [OwnError, KeyboardInterrupt])
def test_exception_in_the_block_stops_the_server_alone(error: type[BaseException]) -> None:
    with no_leftovers(), Process() as home:
        with pytest.raises(error), serve("apps:home", where=home) as one:
            raise error
        assert refuses(one.url)
        with serve("apps:home", where=home) as two:
            assert ask(two.url + "/def")[2] == 2


@needs_proc
def test_exception_ends_the_process() -> None:
    def fail() -> None:
        with Process() as home, serve("apps:bare", where=home):
            raise OwnError

    with no_leftovers(), pytest.raises(OwnError):
        fail()


@needs_proc
def test_interrupt_of_a_call_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """While it starts, while it is asked and while it stops; the next server starts another."""

    def interrupt(*_: object) -> bool:
        signal.raise_signal(signal.SIGINT)
        return False

    def use(when: str) -> None:
        with monkeypatch.context() as patch, contextlib.ExitStack() as stack:
            for now in ("start", "ask", "stop"):
                if now == when:
                    patch.setattr("multiprocessing.connection.Connection.poll", interrupt)
                if now == "start":
                    one = stack.enter_context(serve("apps:home", where=home))
                if now == "ask":
                    one.cpu_s()
            stack.close()  # before the patch is undone

    with no_leftovers(), Process() as home:
        for when in ("start", "ask", "stop"):
            with pytest.raises(KeyboardInterrupt):
                use(when)
            assert home.pid is None
            with serve("apps:home", where=home) as one:
                assert ask(one.url + "/def")[2] == 1
        with interrupted(0.3), serve("apps:startup_hangs", where=home):
            pytest.fail("the block must not run")
        assert home.pid is None
