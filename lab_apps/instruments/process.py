"""A process of its own for servers: one after another, or a fresh one for each."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any

from lab_apps.instruments.child import Child, ChildError
from lab_apps.instruments.eventloop import Readings
from lab_apps.instruments.thread import STOP_TIMEOUT_S, Loop, Server, T, ThreadServer


class Process:
    """A process in which servers are started and stopped one after another: `serve(where=it)`.

    Each has a new event loop, lifespan and pool threads; the interpreter and what it has imported
    stay, so that a start takes milliseconds and not an interpreter's 0.4 s. An app given as the
    name of an object is thus the same object each time, one given as the name of a function is
    made anew. The process starts with its first server and ends with the block, or with this
    process, however that ends. An interrupt, or a server that fails to start or to stop, ends it
    early; the next server then starts another. `env` are environment variables that it has besides
    this process's, such as TMPDIR.
    """

    def __init__(self, env: Mapping[str, str] | None = None) -> None:
        self._child = Child(f"{__name__}:_host", env)
        self._open = self._serving = False

    def __enter__(self) -> Process:
        """Allow servers."""
        self._open = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the process at once."""
        self._open = False
        self._child.close()

    @property
    def pid(self) -> int | None:
        """Process id, or None while it is not running."""
        return self._child.pid

    @contextlib.contextmanager
    def serve(self, app: str, loop: Loop, tokens: int | None, probe: bool) -> Iterator[Server]:
        """A server in this process while the block runs; `server.serve` says what is raised.

        Raises ValueError while another server runs in it, or outside the block of the process.
        """
        if not self._open:
            raise ValueError("a process serves within its block only: with Process() as it: ...")
        if self._serving:
            raise ValueError("this process has a server already: one at a time, or two processes")
        self._serving = True
        try:
            server = _RemoteServer(self._child, app, loop, tokens, probe)
            try:
                yield server
            finally:
                server.stop()
        finally:
            self._serving = False


class _RemoteServer(Server):
    where = "process"

    def __init__(self, child: Child, app: str, loop: Loop, tokens: int | None, probe: bool) -> None:
        self._child = child
        with self._ended_by_failure():
            self.url, self.loop = child.call("start", app, loop, tokens, probe)
        self._pid = child.pid

    def stop(self) -> None:
        """Stop it; its process stays, unless this fails."""
        pid, self._pid = self._pid, None
        if pid is not None and self._child.pid == pid:  # no more so after an interrupt of a call
            with self._ended_by_failure():
                self._child.call("stop", timeout_s=STOP_TIMEOUT_S + 5)

    def readings(self) -> Readings:
        readings: Readings = self._ask("readings")
        return readings

    def loop_cpu_s(self) -> float | None:
        cpu_s: float | None = self._ask("loop_cpu_s")
        return cpu_s

    def cpu_s(self) -> float | None:
        cpu_s: float | None = self._ask("cpu_s")
        return cpu_s

    def run_queue_wait_s(self) -> float | None:
        wait_s: float | None = self._ask("run_queue_wait_s")
        return wait_s

    def inside(self, function: Callable[..., T], *args: Any) -> T:
        name = f"{function.__module__}.{function.__qualname__}"
        if function.__module__ == "__main__" or "<" in name:
            raise ValueError(f"another process does not find {name}: move it to a module")
        answer: T = self._ask("inside", function, *args)
        return answer

    def _ask(self, what: str, *args: Any) -> Any:
        if self._pid is None or self._child.pid != self._pid:  # a call would start another process
            raise ChildError("this server has stopped: ask within its block")
        return self._child.call(what, *args)

    @contextlib.contextmanager
    def _ended_by_failure(self) -> Iterator[None]:
        # What a server leaves that fails to start or to stop must not meet the next one.
        try:
            yield
        except BaseException:
            self._child.close()
            raise


_hosted: ThreadServer | None = None


def _host(what: str, *args: Any) -> Any:
    """Run in the child process: the same server in a thread, and answers to questions about it."""
    global _hosted
    if what == "start":
        _hosted = ThreadServer(*args)
        _hosted.start()
        return _hosted.url, _hosted.loop
    assert _hosted is not None
    return getattr(_hosted, what)(*args)
