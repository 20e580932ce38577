"""uvicorn's supervisor and the workers it starts; runs in a child process, one for each server.

The workers import this module as well: it must stay light, or each of them pays for it.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import threading
import time
import traceback
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any, NamedTuple

import uvicorn
from uvicorn.supervisors import Multiprocess

from lab_apps.instruments import machine
from lab_apps.instruments.app import load
from lab_apps.instruments.child import ChildError
from lab_apps.instruments.listener import listener

LIFESPAN_S = 2.0  # for a lifespan to end, before its worker is killed
REASON_CHARACTERS = 300  # writes of up to PIPE_BUF bytes (macOS: 512) don't mix with others'


class WorkerApp:
    """The app as a worker serves it: tells the supervisor when it serves, or why it can't.

    Requests pass on without a frame of ours around them.
    """

    def __init__(self, app: str, reports: Connection) -> None:
        self._name, self._reports = app, reports
        self._app: Any = None

    def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        """The coroutine for one connection of uvicorn's."""
        return (
            self._lifespan(scope, receive, send)
            if scope["type"] == "lifespan"
            else self._app(scope, receive, send)
        )

    async def serving(self) -> None:
        """Report that this worker accepts connections; uvicorn calls it after its start."""
        self._report("")

    async def _lifespan(self, scope: Any, receive: Any, send: Any) -> None:
        threading.Thread(target=_end_with_supervisor, daemon=True).start()

        async def tell(message: Any) -> None:
            if message["type"].endswith(".failed"):
                self._report(message.get("message") or "its lifespan has failed and not said why")
            await send(message)

        try:
            self._app = load(self._name)
            await self._app(scope, receive, tell)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._report(traceback.format_exception_only(error)[-1])
            raise

    def _report(self, reason: str) -> None:
        loop = type(asyncio.get_running_loop()).__module__.split(".")[0]
        last = (reason.strip().splitlines() or [""])[-1]
        self._reports.send((os.getpid(), loop, last[:REASON_CHARACTERS]))


def _end_with_supervisor() -> None:
    """End this worker when the supervisor is gone: it alone holds the other end of a pipe open."""
    supervisor = multiprocessing.parent_process()
    assert supervisor is not None
    supervisor.join()
    os._exit(0)


class Limits(NamedTuple):
    """Seconds for the start of all workers, for requests in flight at the end, between requests."""

    start_s: float
    grace_s: int
    keep_alive_s: int


class Supervisor(Multiprocess):
    """uvicorn's supervisor, which can be waited for until all its workers serve.

    To be made in the main thread, because it sets signal handlers. `loop` is the name of the
    workers' event loop once they serve, `reason` why a worker has failed, or "".
    """

    def __init__(self, app: str, workers: int, loop: str, limits: Limits) -> None:
        self.app, self.loop, self.reason = app, loop, ""
        self._limits = limits
        self._reports, theirs = Pipe(duplex=False)
        self._serving: set[int] = set()
        worker = WorkerApp(app, theirs)
        config = uvicorn.Config(
            worker,
            workers=workers,
            loop=loop,
            http="httptools",
            interface="asgi3",
            lifespan="on",
            log_config=None,
            log_level="critical",
            access_log=False,
            timeout_keep_alive=limits.keep_alive_s,
            timeout_graceful_shutdown=limits.grace_s,
            callback_notify=worker.serving,
        )
        self._sock = listener()
        super().__init__(config, [self._sock])
        self._watch = threading.Thread(target=self.run, name="supervisor", daemon=True)

    @property
    def url(self) -> str:
        """http://127.0.0.1:port."""
        return f"http://127.0.0.1:{self._sock.getsockname()[1]}"

    @property
    def pids(self) -> list[int]:
        """The workers that have started to serve. Raises ChildError when uvicorn has given up."""
        if not self._watch.is_alive():
            raise ChildError(f"the workers of {self.app!r} have ended: {self.reason}")
        return [process.pid for process in self.processes if process.pid in self._serving]

    def start(self) -> None:
        """Start the workers, wait until all of them serve, then watch over them as uvicorn does.

        Raises ChildError when one has ended instead, TimeoutError when that takes too long; none is
        left then.
        """
        try:
            super().init_processes()
            self._wait()
        except BaseException:
            self.terminate_all()
            self.join_all()
            raise
        self._watch.start()

    def stop(self) -> None:
        """End the workers. Raises ChildError with the reason when one of them has failed."""
        self.should_exit.set()
        self._watch.join()
        self._read()
        if self.reason:
            raise ChildError(f"a worker of {self.app!r} has failed: {self.reason}")

    def run(self) -> None:
        """Replace workers that die, until told to exit; then leave none, whatever happens."""
        try:
            super().run()
        finally:
            self.terminate_all()
            self.join_all()
            self._sock.close()  # or it would go on to take connections

    def init_processes(self) -> None:
        """Nothing: `start` has done it."""

    def keep_subprocess_alive(self) -> None:
        """Replace workers that have died (uvicorn calls this twice a second)."""
        super().keep_subprocess_alive()
        self._read()

    def join_all(self) -> None:
        """Wait for the workers that were told to end, and kill those that don't in time."""
        latest_s = time.monotonic() + self._limits.grace_s + LIFESPAN_S
        for worker in self.processes:
            worker.process.join(max(0.0, latest_s - time.monotonic()))
            worker.process.kill()
            worker.process.join()

    def _wait(self) -> None:
        latest_s = time.monotonic() + self._limits.start_s
        while not all(process.pid in self._serving for process in self.processes):
            left_s = latest_s - time.monotonic()
            if left_s < 0:
                raise TimeoutError(
                    f"{len(self._serving)} of {len(self.processes)} workers of {self.app!r} serve"
                    f" after {self._limits.start_s} s"
                )
            wait([self._reports, *(one.process.sentinel for one in self.processes)], left_s)
            statuses = [one.exitcode for one in self.processes if one.exitcode is not None]
            self._read()  # after that, because a worker reports before it ends
            if statuses and not self.reason:
                self.reason = f"it ended with status {statuses[0]}; {_last_words()}"
            if self.reason:
                raise ChildError(f"a worker of {self.app!r} can't start: {self.reason}")

    def _read(self) -> None:
        while self._reports.poll():
            pid, self.loop, reason = self._reports.recv()
            self.reason = self.reason or reason
            if not reason:
                self._serving.add(pid)


def _last_words() -> str:
    """The last line on stderr, which is one file for this process and its workers."""
    size = os.fstat(2).st_size
    said = os.pread(2, 10_000, max(0, size - 10_000)).decode(errors="replace").split("\n")
    lines = [line for line in said if line.strip()]
    return f"last words: {lines[-1]}" if lines else "it said nothing"


_supervisor: Supervisor | None = None


def host(what: str, *args: Any) -> Any:
    """Run in the child process: "start" and its arguments, "pids" or "stop"."""
    global _supervisor
    if what == "start":
        machine.allow_descriptors()
        _supervisor = Supervisor(*args)
        _supervisor.start()
        return _supervisor.url, _supervisor.loop
    assert _supervisor is not None
    return _supervisor.pids if what == "pids" else _supervisor.stop()
