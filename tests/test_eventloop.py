"""The probe sees what blocks the loop and who holds the pool, and costs next to nothing."""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from helpers import needs_proc, wait_until

from lab_apps.instruments import load, machine
from lab_apps.instruments.calibration import OK, create_app
from lab_apps.instruments.eventloop import INTERVAL_S, Probe
from lab_apps.instruments.schedule import closed
from lab_apps.instruments.server import Loop, Server, listener, serve
from lab_apps.instruments.thread import KEEP_ALIVE_S, ThreadServer
from lab_apps.instruments.wire import Stream

INTERVAL_MS = INTERVAL_S * 1e3
ROUNDING_MS = 1.0  # of the loop's own timers


def blocking_app() -> tuple[FastAPI, list[tuple[int, int]]]:
    """An app that blocks its loop, and the list in which it says from when to when."""
    app = FastAPI()
    blocks: list[tuple[int, int]] = []

    @app.get("/block/{ms}")
    async def block(ms: float) -> str:
        begun = time.perf_counter_ns()
        time.sleep(ms / 1e3)  # noqa: ASYNC251
        blocks.append((begun, time.perf_counter_ns()))
        return "ok"

    return app, blocks


def check_blocks_are_seen(loop: Loop) -> None:
    """Each block shows as one tick, late by the block less what was left of the interval.

    A tick that was due before its block began was late for another reason as well, which a busy
    machine may give now and then, but not in most cases.
    """
    app, blocks = blocking_app()
    with serve(app, loop=loop, probe=True) as server:
        for ms in (40, 60, 150, 60, 40):
            stream = Stream("one", f"/block/{ms}", closed(1, requests=1), b'"ok"')
            assert load.send(server.url, stream, warm_up=0).errors == {}
            time.sleep(2 * INTERVAL_S)
        readings = server.readings()
    more_ms = []
    for begun, ended in blocks:
        ((at_ns, delay_ms),) = [
            (at_ns, delay_ms)
            for at_ns, delay_ms in zip(readings.at_ns, readings.delay_ms, strict=True)
            if delay_ms > 10 and begun < at_ns and at_ns - delay_ms * 1e6 < ended
        ]
        assert at_ns >= ended
        more_ms.append(delay_ms - (at_ns - begun) / 1e6)
    assert all(more >= -INTERVAL_MS - ROUNDING_MS for more in more_ms)
    assert statistics.median(more_ms) <= 0


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_known_block_is_seen(loop: Loop) -> None:
    check_blocks_are_seen(loop)


def test_check_sees_a_probe_on_another_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that ticks in a thread of its own sees nothing of the server's loop."""

    def start(self: Probe) -> None:
        own = asyncio.new_event_loop()
        self._loop = own
        self._schedule(time.perf_counter_ns())

        def run() -> None:
            own.call_later(1.2, own.stop)
            own.run_forever()
            own.close()

        threading.Thread(target=run, daemon=True, name="elsewhere").start()

    monkeypatch.setattr(Probe, "start", start)
    with pytest.raises((AssertionError, ValueError)):
        check_blocks_are_seen("asyncio")
    for thread in threading.enumerate():
        if thread.name == "elsewhere":
            thread.join()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_idle_loop_ticks_on_time(loop: Loop) -> None:
    with serve(create_app, loop=loop, probe=True) as server:
        begun = time.perf_counter_ns()
        time.sleep(0.3)
        readings = server.readings().since(begun, 0.3)
    assert 0.6 * 0.3 / INTERVAL_S <= len(readings.at_ns) <= 0.3 / INTERVAL_S + 1
    assert statistics.median(readings.delay_ms) < 3
    assert set(readings.tokens) == {0}


def test_readings_of_a_part() -> None:
    with serve(create_app, probe=True) as server:
        assert wait_until(lambda: len(server.readings().at_ns) > 10, 5)
        whole = server.readings()
    part = whole.since(int(whole.at_ns[3]), (whole.at_ns[7] - whole.at_ns[3]) / 1e9)
    assert part.at_ns.tolist() == whole.at_ns[3:8].tolist()
    assert part.delay_ms.tolist() == whole.delay_ms[3:8].tolist()
    assert part.tokens.tolist() == whole.tokens[3:8].tolist()


@pytest.mark.parametrize("held", [1, 7])
def test_pool_threads_in_use_are_counted_exactly(held: int) -> None:
    """`held` requests meet in `def` handlers and stay there until they have been counted."""
    app = FastAPI()
    barrier = threading.Barrier(held + 1)
    go_on = threading.Event()

    @app.get("/")
    def hold() -> str:
        barrier.wait(10)
        go_on.wait(10)
        return "ok"

    counted: set[int] = set()
    with serve(app, probe=True, tokens=9) as server:

        def count() -> None:
            barrier.wait(10)  # now all are inside
            start = time.perf_counter_ns()
            wait_until(lambda: len(server.readings().since(start, 9).tokens) >= 5, 5)
            counted.update(server.readings().since(start, 9).tokens.tolist())
            go_on.set()

        counter = threading.Thread(target=count)
        counter.start()
        stream = Stream("def", "/", closed(held, requests=held), b'"ok"')
        assert load.send(server.url, stream, warm_up=0).errors == {}
        counter.join()
        end = time.perf_counter_ns()
        assert wait_until(lambda: len(server.readings().since(end, 9).tokens) >= 3, 5)
        assert set(server.readings().since(end, 9).tokens.tolist()) == {0}
    assert counted == {held}


def test_async_routes_take_no_thread() -> None:
    with serve(create_app, probe=True) as server:
        load.send(server.url, Stream("s", "/wait/30", closed(8, requests=16), OK))
        assert set(server.readings().tokens.tolist()) == {0}


# What it costs. The CPU time of the loop's own thread does not count what others do meanwhile, but
# a core shared with another machine makes all of it dearer. So what is asserted is a ratio between
# two arms that take turns, of their cheapest turn each, since what disturbs only adds. The share of
# a loop's time and the microseconds are asserted in the long tests.

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
