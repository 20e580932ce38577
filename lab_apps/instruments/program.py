"""A Python module run as a program of its own, as `python -m` runs it: to be stopped for real."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import tempfile
import time
from collections.abc import Mapping
from types import TracebackType
from typing import IO

from lab_apps.instruments import nursery
from lab_apps.instruments.child import ChildError
from lab_apps.instruments.nursery import Forked

START_S = 30.0
POLL_S = 0.02


class Program:
    """`python -m module arguments…` in a process of its own, which gets real signals.

    It runs within the block and is killed with all it has started when that ends, or when this
    process does, however this one ends. It has a session of its own, `env` besides this process's
    environment variables, and what it prints goes to a file that `said` reads. It starts at once,
    since it is forked from a process that has imported FastAPI: see `nursery.fork`.
    """

    def __init__(self, module: str, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        self._command = [module, *arguments]
        self._env = dict(env or {})
        self._process: Forked | None = None
        self._output: IO[bytes] | None = None

    def __enter__(self) -> Program:
        """Start it; it may not be ready yet, see `wait_for`."""
        self._output = tempfile.TemporaryFile()
        try:
            self._process = nursery.fork(self._command, os.environ | self._env, self._output)
        except BaseException:
            self._output.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Kill what is left of it."""
        process, output = self._running(), self._output
        self._process = None
        with contextlib.suppress(OSError):  # none of them is left
            os.killpg(process.pid, signal.SIGKILL)  # its session's, so not ours
        assert output is not None
        with contextlib.suppress(ChildError):  # what it was forked from is gone, and so is it
            process.wait()
        process.close()
        output.close()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._running().pid

    @property
    def said(self) -> str:
        """What it has printed so far, stdout and stderr."""
        self._running()
        assert self._output is not None
        size = os.fstat(self._output.fileno()).st_size
        return os.pread(self._output.fileno(), size, 0).decode(errors="replace")

    def wait_for(self, pattern: str, timeout_s: float = START_S) -> re.Match[str]:
        """Wait until it has printed what matches; return the match.

        Raises ChildError with its last line where it has ended before, TimeoutError.
        """
        latest_s = time.monotonic() + timeout_s
        while not (found := re.search(pattern, self.said)):
            status = self._running().wait(0)
            if status is not None and not re.search(pattern, self.said):
                raise ChildError(f"{self._name} has ended with status {status}{self._last_words()}")
            if time.monotonic() > latest_s:
                raise TimeoutError(
                    f"{self._name} has not printed {pattern!r} after {timeout_s} s"
                    f"{self._last_words()}"
                )
            time.sleep(POLL_S)
        return found

    def signal(self, number: signal.Signals) -> int:
        """Send it a signal, to it alone; return when, as `perf_counter_ns`.

        Raises ChildError where it has ended.
        """
        if (status := self._running().wait(0)) is not None:
            raise ChildError(f"{self._name} has ended with status {status}{self._last_words()}")
        at_ns = time.perf_counter_ns()
        os.kill(self.pid, number)
        return at_ns

    def wait(self, timeout_s: float) -> tuple[int, int]:
        """Wait for its end; return when (`perf_counter_ns`) and its status, -15 for SIGTERM.

        Raises TimeoutError.
        """
        if (status := self._running().wait(timeout_s)) is None:
            raise TimeoutError(f"{self._name} has not ended after {timeout_s} s")
        return time.perf_counter_ns(), status

    @property
    def _name(self) -> str:
        return " ".join(self._command)

    def _running(self) -> Forked:
        if self._process is None:
            raise ValueError("a program runs within its block only: with Program(…) as it: …")
        return self._process

    def _last_words(self) -> str:
        lines = self.said.strip().splitlines()
        return f": {lines[-1]}" if lines else ""
