"""The probe sees what blocks the loop and who holds the pool."""

from __future__ import annotations

import asyncio
import statistics
import threading
import time

import pytest
from fastapi import FastAPI
from helpers import wait_until

from lab_apps.instruments import load
from lab_apps.instruments.calibration import OK, create_app
from lab_apps.instruments.eventloop import INTERVAL_S, Probe
from lab_apps.instruments.schedule import closed
from lab_apps.instruments.server import Loop, serve
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
