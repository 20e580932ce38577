"""What the probe and the bookkeeping of requests cost: next to nothing."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import uvicorn
from helpers import needs_proc, wait_until

from lab_apps.instruments import load, machine
from lab_apps.instruments.calibration import OK, create_app
from lab_apps.instruments.eventloop import INTERVAL_S, Probe
from lab_apps.instruments.schedule import closed
from lab_apps.instruments.server import Loop, Server, listener, serve
from lab_apps.instruments.thread import KEEP_ALIVE_S, ThreadServer
from lab_apps.instruments.wire import Stream

# The CPU time of the loop's own thread does not count what others do meanwhile, but a core shared
# with another machine makes all of it dearer. So what is asserted is a ratio between two arms that
# take turns, of their cheapest turn each, since what disturbs only adds. The share of a loop's time
# and the microseconds are asserted in the long tests.

TIMES_A_TIMER = 2  # what a tick of the probe may cost, in wake-ups of an empty timer
PROBE_SHARE = 0.01  # of the loop thread's time
TIMES_PLAIN = 1.3  # what a request may cost, in requests of plain uvicorn
REQUEST_S = 20e-6


def loop_cpu_s(server: Server | PlainServer) -> float:
    used = server.loop_cpu_s()
    assert used is not None
    return used


async def empty_timer(seconds: float) -> None:
    """Wake the loop as often as the probe does, for nothing."""
    for _ in range(round(seconds / INTERVAL_S)):
        await asyncio.sleep(INTERVAL_S)


def check_probe_is_cheap(loop: Loop, windows: int = 7, window_s: float = 0.2) -> float:
    """Share of an idle loop thread's time that the probe takes; judged by what a timer takes."""
    shares: dict[str, list[float]] = {"probe": [], "timer": []}
    with serve(create_app, loop=loop, probe=True) as one, serve(create_app, loop=loop) as other:
        assert isinstance(other, ThreadServer)
        for _ in range(windows):
            for arm, server in (("probe", one), ("timer", other)):
                begun, before = time.perf_counter(), loop_cpu_s(server)
                if arm == "probe":
                    time.sleep(window_s)
                else:
                    other.on_loop(empty_timer(window_s))
                spent = loop_cpu_s(server) - before
                shares[arm].append(spent / (time.perf_counter() - begun))
    assert min(shares["probe"]) < TIMES_A_TIMER * min(shares["timer"]), shares
    return min(shares["probe"])


@needs_proc
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_probe_costs_a_few_wake_ups(loop: Loop) -> None:
    check_probe_is_cheap(loop)


@needs_proc
@pytest.mark.long
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_probe_costs_under_1_percent_of_the_loop(loop: Loop) -> None:
    assert check_probe_is_cheap(loop) < PROBE_SHARE


@needs_proc
def test_check_sees_a_costly_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    tick = Probe._tick

    def costly(self: Probe) -> None:
        until = time.thread_time() + 0.001  # 40 times a second: 4%
        while time.thread_time() < until:
            pass
        tick(self)

    monkeypatch.setattr(Probe, "_tick", costly)
    with pytest.raises(AssertionError):
        check_probe_is_cheap("uvloop")


class PlainServer:
    """The same app and settings under uvicorn alone, without anything of ours around it."""

    def __init__(self) -> None:
        self.sock = listener()
        self.url = f"http://127.0.0.1:{self.sock.getsockname()[1]}"
        config = uvicorn.Config(
            create_app(),
            http="httptools",
            log_config=None,
            log_level="critical",
            access_log=False,
            timeout_keep_alive=KEEP_ALIVE_S,
        )
        self.uvicorn = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.uvicorn.run, kwargs={"sockets": [self.sock]})

    def __enter__(self) -> PlainServer:
        self.thread.start()
        assert wait_until(lambda: self.uvicorn.started, 10)
        return self

    def __exit__(self, *_: object) -> None:
        self.uvicorn.should_exit = True
        self.thread.join()

    def loop_cpu_s(self) -> float | None:
        return machine.thread_cpu_s(self.thread)


def cpu_per_request(server: Server | PlainServer, requests: int = 200) -> float:
    before = loop_cpu_s(server)
    trial = load.send(server.url, Stream("one", "/null", closed(4, requests=requests), OK))
    assert trial.errors == {}
    return (loop_cpu_s(server) - before) / requests


def check_requests_are_cheap(turns: int = 15) -> float:
    """Seconds of the loop's thread that a request takes more than under plain uvicorn."""
    with serve(create_app, probe=True) as ours, PlainServer() as plain:
        spent_s = [(cpu_per_request(ours), cpu_per_request(plain)) for _ in range(turns)][1:]
    ours_s, plain_s = min(ours for ours, _ in spent_s), min(plain for _, plain in spent_s)
    assert ours_s < TIMES_PLAIN * plain_s, spent_s
    return ours_s - plain_s


@needs_proc
def test_bookkeeping_adds_less_than_a_third_to_a_request() -> None:
    check_requests_are_cheap()


@needs_proc
@pytest.mark.long
def test_bookkeeping_costs_under_20_microseconds_a_request() -> None:
    assert check_requests_are_cheap() < REQUEST_S


@needs_proc
def test_check_sees_costly_bookkeeping(monkeypatch: pytest.MonkeyPatch) -> None:
    with PlainServer() as plain:
        burn_s = 0.5 * max(cpu_per_request(plain) for _ in range(3))
    call = ThreadServer._call

    def costly(self: ThreadServer, *args: Any) -> Any:
        until = time.thread_time() + burn_s
        while time.thread_time() < until:
            pass
        return call(self, *args)

    monkeypatch.setattr(ThreadServer, "_call", costly)
    with pytest.raises(AssertionError):
        check_requests_are_cheap()


def test_wrapper_costs_under_a_microsecond() -> None:
    """The one frame of ours that a request passes through, called directly 20,000 times."""

    def app(*_: Any) -> None:
        return None

    server = ThreadServer(lambda: app, "auto", None, False)
    scope = {"type": "http"}

    def seconds(call: Callable[..., Any]) -> float:
        begun = time.thread_time()
        for _ in range(20_000):
            call(scope, None, None)
        return (time.thread_time() - begun) / 20_000

    added = min(seconds(server._call) for _ in range(5)) - min(seconds(app) for _ in range(5))
    server._sock.close()
    assert added < 1e-6
