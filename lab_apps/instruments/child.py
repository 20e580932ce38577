"""A Python process that answers calls and ends when this one does, however this one ends."""

from __future__ import annotations

import contextlib
import importlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from multiprocessing.connection import Connection, Pipe
from typing import IO, Any


class ChildError(RuntimeError):
    """The child process raised, or ended without an answer."""


class Child:
    """Runs `module:function` once for each `call()`, in a process of its own.

    Started on first use by a fresh interpreter (nothing of this process is copied, `__main__` is
    not imported again, so it works from notebooks and scripts alike). It has a session of its
    own, so that interrupting a notebook cell does not reach it, and ends with this process: it
    watches a pipe that only this process holds open, and its parent's process id. One call at a
    time: not for use from two threads. `env` are environment variables that it has besides this
    process's, such as TMPDIR.
    """

    def __init__(self, target: str, env: Mapping[str, str] | None = None) -> None:
        self.target = target
        self._env = dict(env or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._stderr: IO[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id, or None while it is not running."""
        return self._process.pid if self._process is not None else None

    def call(self, *args: Any, timeout_s: float | None = None) -> Any:
        """Return what the function returns for `args`.

        Raises the function's own exception, ChildError when the child has died, TimeoutError when
        there is no answer within `timeout_s`. After an interrupt or any of these but the
        first, the child is ended; the next call starts a new one.
        """
        try:
            if self._process is None:
                self._start()
            assert self._connection is not None
            self._connection.send(args)
            if not self._connection.poll(timeout_s):
                raise TimeoutError(f"{self.target} gave no answer within {timeout_s} s")
            outcome, value = self._connection.recv()
        except (EOFError, ConnectionError) as error:
            said = self._last_words()
            self.close()
            raise ChildError(f"the process of {self.target} has ended{said}") from error
        except BaseException:
            self.close()
            raise
        if outcome == "raised":
            raise value
        return value

    def close(self) -> None:
        """End the child, and what it has started, at once.

        Safe to call twice, and before it has been started.
        """
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(OSError):  # none of them is left
                os.killpg(process.pid, signal.SIGKILL)  # its session's, so not ours
            process.wait()
            assert process.stdin is not None
            process.stdin.close()
        for held in (self._connection, self._stderr):
            if held is not None:
                held.close()
        self._connection = self._stderr = None

    def _last_words(self) -> str:
        assert self._stderr is not None
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()
        return f": {lines[-1]}" if lines else ""

    def _start(self) -> None:
        # A file, because a pipe that nobody reads would block the child once it is full.
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115
        self._connection, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, self.target, str(theirs.fileno())],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=self._stderr,
                env=os.environ | self._env,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )


def wait_for_parents_end(parent: int) -> None:
    """Return when this process's parent, whose pid that is, is gone.

    The pipe on stdin reports end of file at once, unless something forked from the parent still
    holds it open; the parent's id changes in every case.
    """
    while os.getppid() == parent:
        if select.select([0], [], [], 0.5)[0]:
            break


def _end_with_parent(parent: int) -> None:
    wait_for_parents_end(parent)
    os._exit(0)


def _main(target: str, descriptor: int) -> None:
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    connection = Connection(descriptor)
    module, name = target.split(":")
    function = getattr(importlib.import_module(module), name)
    with contextlib.suppress(EOFError):
        while True:
            args = connection.recv()
            try:
                answer = ("returned", function(*args))
            except Exception as error:
                answer = ("raised", error)
            connection.send(answer)


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]))
