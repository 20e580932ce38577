"""Where programs are forked: a process that has imported FastAPI, so that each is there at once."""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from lab_apps.instruments.child import ChildError, wait_for_parents_end

# Nothing of ours, so that a program reads its own settings. On macOS they aren't imported: there a
# process may not go on without exec once it has used certain system libraries
# (https://bugs.python.org/issue33725).
PRELOADED = ["fastapi", "uvicorn.main", "uvicorn.lifespan.on", "uvloop", "httptools"]
PRELOADED += ["psycopg_pool", "procrastinate.cli"]
NUMBER = struct.Struct("i")
PARENT_POLL_S = 0.5


class Forked:
    """A process that `fork` has started: its `pid`, and its end."""

    def __init__(self, stdin: int, told: int) -> None:
        self._stdin, self._told = stdin, told
        self._status: int | None = None
        self.pid = self._number()

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Its status once it has ended, -15 for SIGTERM; None where it hasn't in time."""
        if self._status is None and select.select([self._told], [], [], timeout_s)[0]:
            self._status = self._number()
        return self._status

    def close(self) -> None:
        """Let go of it, which kills it and what it has started if they still run."""
        os.close(self._stdin)
        os.close(self._told)

    def _number(self) -> int:
        told = os.read(self._told, NUMBER.size)
        if not told:
            raise ChildError("the process that programs are forked from has been killed")
        number: int = NUMBER.unpack(told)[0]
        return number


class _Nursery:
    """The lab's side of the process; it has a session of its own and ends with the lab."""

    def __init__(self) -> None:
        self._channel, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-u", "-m", __name__, str(os.getpid())],
                stdin=theirs.fileno(),
                start_new_session=True,
            )

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def send(self, *descriptors: int) -> None:
        socket.send_fds(self._channel, [b"."], descriptors)

    def end(self) -> None:
        self._channel.close()
        self._process.kill()
        self._process.wait()


_nursery: _Nursery | None = None
_beginning = threading.Lock()


def begin() -> _Nursery:
    """Start the process if it doesn't run: that takes what importing FastAPI takes."""
    global _nursery
    with _beginning:
        if _nursery is not None and not _nursery.alive:
            _nursery.end()
            _nursery = None
        _nursery = _nursery or _Nursery()
        return _nursery


def end() -> None:
    """End the process, and with it all that was forked from it; `fork` starts another."""
    global _nursery
    with _beginning:
        if _nursery is not None:
            _nursery.end()
        _nursery = None


atexit.register(end)


def fork(command: Sequence[str], env: Mapping[str, str], output: IO[bytes]) -> Forked:
    """Run `python -u -m command…` in a process of its own, which prints into that file.

    It is forked rather than started, and has FastAPI, uvicorn and procrastinate among
    `sys.modules`; from there on it is what `python -m` makes of it. It has a session of its own,
    this process's folder, and `env` for environment variables: of those that Python reads at its
    start PYTHONPATH counts. Raises ChildError where the process that forks is killed meanwhile.
    """
    stdin, ours = os.pipe()
    told, theirs = os.pipe()
    try:
        with tempfile.TemporaryFile() as request:
            request.write(json.dumps([command, dict(env), str(Path.cwd())]).encode())
            request.flush()
            begin().send(request.fileno(), stdin, output.fileno(), theirs)
        os.close(theirs)
        theirs = -1
        return Forked(ours, told)
    except BaseException:
        os.close(ours)  # ends it, if it runs
        os.close(told)
        raise
    finally:
        os.close(stdin)
        if theirs != -1:
            os.close(theirs)


def _end_with_parent(parent: int) -> None:
    """Kill this process and all it has started when its parent or the lab is gone."""
    wait_for_parents_end(parent)
    os.killpg(0, signal.SIGKILL)  # its session's, see `_become`


def _become(request: int, stdin: int, output: int, nursery: int) -> list[str]:
    """Make this process, which has just been forked, the one that was asked for."""
    with os.fdopen(request, "rb") as file:
        file.seek(0)
        command, env, folder = json.load(file)
    os.setsid()
    for descriptor, number in ((stdin, 0), (output, 1), (output, 2)):
        os.dup2(descriptor, number)
    for number in [int(one.name) for one in Path("/dev/fd").iterdir()]:
        if number > 2:
            with contextlib.suppress(OSError):  # the one that listed them
                os.close(number)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    more = [path for path in env.get("PYTHONPATH", "").split(os.pathsep) if path not in sys.path]
    sys.path[:1] = [folder, *filter(None, more)]
    threading.Thread(target=_end_with_parent, args=(nursery,), daemon=True).start()
    return list(command)


def _serve(lab: int) -> list[str]:
    """Fork one for each request and tell how each ends; in a forked one, return its command."""
    channel = socket.socket(fileno=0)
    woken, waker = os.pipe()
    for descriptor in (woken, waker):
        os.set_blocking(descriptor, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    told: dict[int, int] = {}
    while os.getppid() == lab:
        ready = select.select([0, woken], [], [], PARENT_POLL_S)[0]
        if woken in ready:
            os.read(woken, 4096)
            _reap(told)
        if 0 in ready:
            message, received, *_ = socket.recv_fds(channel, 1, 4)
            if not message:
                break
            request, stdin, output, teller = received
            nursery, pid = os.getpid(), os.fork()
            if not pid:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                channel.detach()
                return _become(request, stdin, output, nursery)
            told[pid] = teller
            _tell(teller, pid)
            for descriptor in (request, stdin, output):
                os.close(descriptor)
    return []


def _reap(told: dict[int, int]) -> None:
    for pid in [*told]:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            _tell(told[pid], os.waitstatus_to_exitcode(status))
            os.close(told.pop(pid))


def _tell(teller: int, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # nobody waits for it any more
        os.write(teller, NUMBER.pack(number))


def preload() -> None:
    """Import the packages, those that are installed."""
    for name in PRELOADED:
        with contextlib.suppress(ImportError):  # of an extra that isn't installed
            importlib.import_module(name)


def _main() -> None:
    if sys.platform == "linux":
        preload()
    if command := _serve(int(sys.argv[1])):
        sys.argv[:] = command
        runpy.run_module(command[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main()
