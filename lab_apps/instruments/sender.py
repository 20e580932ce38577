"""Sends streams of requests on schedule; runs in the load worker's process."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from urllib.parse import urlsplit

import uvloop

from lab_apps.instruments import machine, wire
from lab_apps.instruments.schedule import Closed
from lab_apps.instruments.sources import ClosedSource, Due, OpenSource, Source
from lab_apps.instruments.wire import Row, Sent, Stream

LEAD_NS = 4_000_000  # from the end of the warm-up to the first instant of the schedule
LEAD_EACH_NS = 5_000  # and for each request, which takes a place in the plan
SWEEP_S = 0.05  # how often timeouts are looked for


def _waited_s() -> float:
    return machine.run_queue_wait_s(os.getpid(), threading.get_native_id()) or 0.0


def _pace(loop: asyncio.AbstractEventLoop, plan: list[Due]) -> None:
    """Call each callback on the loop at its instant, from a thread of its own.

    A sleeping thread wakes within about 0.1 ms; the loop's own timers are rounded to whole
    milliseconds (CPython issue 64773 and libuv's timers).
    """
    for due_ns, callback in plan:
        wait_ns = due_ns - time.perf_counter_ns()
        if wait_ns > 0:
            time.sleep(wait_ns / 1e9)
        loop.call_soon_threadsafe(callback, due_ns)


async def send_on_loop(
    url: str, streams: tuple[Stream, ...], timeout_s: float, warm_up: int
) -> Sent:
    """What `send` does, on the running loop."""
    parts = urlsplit(url)
    rows: list[Row] = []
    sources: list[Source] = []
    for index, stream in enumerate(streams):
        where = (index, stream, parts.hostname or "", parts.port or 80, timeout_s, rows)
        if isinstance(stream.schedule, Closed):
            sources.append(ClosedSource(stream.schedule, *where))
        else:
            sources.append(OpenSource(stream.schedule, *where))
    try:
        for source in sources:
            await source.warm_up(warm_up)
            source.timed = True
        scheduled = tuple(source.scheduled for source in sources)
        due = sum(source.left for source in sources if isinstance(source, OpenSource))
        start_ns = wire.now_ns() + LEAD_NS + LEAD_EACH_NS * due
        plan = [due for source in sources for due in source.plan(start_ns)]
        plan.sort(key=lambda due: due[0])
        cpu_s, wait_s = time.process_time(), _waited_s()
        loop = asyncio.get_running_loop()
        threading.Thread(target=_pace, args=(loop, plan), daemon=True).start()
        waiting = {asyncio.ensure_future(source.ended.wait()) for source in sources}
        while waiting:
            _, waiting = await asyncio.wait(waiting, timeout=SWEEP_S)
            for source in sources:
                source.expire()
        end_ns, cpu_s, wait_s = wire.now_ns(), time.process_time() - cpu_s, _waited_s() - wait_s
        peers = {key: body for source in sources for key, body in source.peers.items()}
        in_flight_s = sum(source.in_flight_ns for source in sources) / 1e9
        return Sent(rows, start_ns, end_ns, cpu_s, wait_s, peers, scheduled, in_flight_s)
    finally:
        for source in sources:
            source.close()


def send(url: str, streams: tuple[Stream, ...], timeout_s: float, warm_up: int) -> Sent:
    """Send the streams at `url` (http://host:port) and return one row per timed request.

    Each stream first sends `warm_up` discarded requests. A request unanswered after `timeout_s`
    from its sending is a row with `done = sent + timeout`; nothing is removed.
    """
    machine.allow_descriptors()
    return uvloop.run(send_on_loop(url, streams, timeout_s, warm_up))
