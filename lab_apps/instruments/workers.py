"""One app served by several uvicorn workers, as `uvicorn app --workers N` does it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

from lab_apps.instruments import machine
from lab_apps.instruments.child import Child, ChildError
from lab_apps.instruments.supervisor import Limits
from lab_apps.instruments.thread import (
    GRACE_S,
    KEEP_ALIVE_S,
    START_TIMEOUT_S,
    STOP_TIMEOUT_S,
    Loop,
    Server,
    T,
)

HOST = "lab_apps.instruments.supervisor:host"


class WorkersServer(Server):
    """A server of several worker processes, which share one listening socket.

    A connection stays with the worker that accepted it. A worker that dies is replaced, by
    uvicorn and at its pace: it looks twice a second, and the new one must import the app.
    """

    where = "workers"

    def __init__(self, app: str, workers: int, loop: Loop) -> None:
        self._child = Child(HOST)
        limits = Limits(START_TIMEOUT_S, GRACE_S, KEEP_ALIVE_S)
        try:
            self.url, self.loop = self._child.call("start", app, workers, loop, limits)
        except BaseException:
            self._child.close()
            raise

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of the workers that have started to serve; one that died leaves the list.

        Raises ChildError when uvicorn has given up, because a replacement could not start, when
        the supervisor has died, and after the block.
        """
        if self._child.pid is None:  # a call would start another process
            raise ChildError("this server has stopped: ask within its block")
        return tuple(self._child.call("pids"))

    def stop(self) -> None:
        """End supervisor and workers; raises what `serve_workers` says."""
        try:
            if self._child.pid is not None:  # it is None after an interrupt of a call
                self._child.call("stop", timeout_s=STOP_TIMEOUT_S)
        finally:
            self._child.close()

    def loop_cpu_s(self) -> float | None:
        """None: there are several loops."""
        return None

    def cpu_s(self) -> float | None:
        """CPU seconds used by the workers together; None where the platform can't tell."""
        try:  # clock_getcpuclockid(3) makes a clock's id of a process's id so, on Linux
            return sum(time.clock_gettime(~pid << 3 | 2) for pid in self.pids)
        except OSError:
            return None

    def run_queue_wait_s(self) -> float | None:
        """Seconds the workers' loops, added up, were ready and had no core; None where not told."""
        # A worker's loop runs in its main thread, whose id is the process's.
        waits_s = [machine.run_queue_wait_s(pid, pid) for pid in self.pids]
        return None if None in waits_s else sum(wait_s or 0.0 for wait_s in waits_s)

    def inside(self, function: Callable[..., T], *args: Any) -> T:
        """Raise ValueError: there are several processes."""
        raise ValueError(
            "workers are several processes, to call a function in: use serve(..., where='process')"
        )


@contextlib.contextmanager
def serve_workers(app: str, workers: int, *, loop: Loop = "auto") -> Iterator[WorkersServer]:
    """Serve `app`, a "module:name", with that many workers while the block runs.

    All of them accept connections when the block begins. One worker has a supervisor too, unlike
    `uvicorn --workers 1`, so that only the number differs. At the end requests in flight have 2 s,
    then the lifespans end; what still runs 4 s after the block is killed.

    Raises ValueError for other arguments; ChildError, with the reason, when a worker can't start
    (the app can't be imported, its lifespan fails, it dies), and after the block when a
    lifespan has failed to end or the supervisor has died; TimeoutError when not all
    workers serve after 30 s.
    """
    if not isinstance(app, str) or not all(app.partition(":")):
        raise ValueError(f'workers import the app themselves: "module:name", not {app!r}')
    if workers < 1:
        raise ValueError(f"at least one worker, not {workers}")
    server = WorkersServer(app, workers, loop)
    try:
        yield server
    finally:
        server.stop()
