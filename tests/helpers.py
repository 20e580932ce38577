"""What several test files need: servers that fail on purpose, interrupts, counts of leftovers."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from lab_apps.instruments import load, nursery
from lab_apps.instruments.schedule import Open, Schedule
from lab_apps.instruments.server import listener
from lab_apps.instruments.trial import Trial
from lab_apps.instruments.wire import Stream

TESTS = Path(__file__).parent
BODY = b"as expected"

needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")


def response(body: bytes = BODY, status: str = "200 OK", *headers: str) -> bytes:
    """An HTTP/1.1 response with Content-Length."""
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


@dataclass(frozen=True)
class Reply:
    """What a `FaultServer` does with one request: waits, sends the pieces with pauses, and then …

    keep: waits for the next request; close: closes the connection; hang: never says more;
    die: stops listening and closes every connection.
    """

    pieces: tuple[bytes, ...] = (response(),)
    then: Literal["keep", "close", "hang", "die"] = "keep"
    after_s: float = 0.0
    pause_s: float = 0.0


OK = Reply()


class FaultServer:
    """A server on a raw socket that answers its n-th request (from 0) as `reply(n)` says.

    With `greet=False` it closes every connection as soon as it is there.
    """

    def __init__(self, reply: Callable[[int], Reply], greet: bool) -> None:
        self.reply, self.greet = reply, greet
        self.requests = self.connected = 0
        self.lock = threading.Lock()
        self.open: set[socket.socket] = set()
        self.over = threading.Event()
        self.sock = listener()
        self.sock.listen(2048)
        self.url = f"http://127.0.0.1:{self.sock.getsockname()[1]}"
        self.threads = [threading.Thread(target=self._accept)]
        self.threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.sock.accept()
                with self.lock:
                    self.connected += 1
                    self.open.add(connection)
                if not self.greet:
                    self._drop(connection)
                    continue
                thread = threading.Thread(target=self._converse, args=(connection,))
                self.threads.append(thread)
                thread.start()

    def _converse(self, connection: socket.socket) -> None:
        received = b""
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while data := connection.recv(65536):
                if self.over.is_set():
                    break
                received += data
                while b"\r\n\r\n" in received:
                    _, _, received = received.partition(b"\r\n\r\n")
                    with self.lock:
                        number = self.requests
                        self.requests += 1
                    if not self._answer(connection, self.reply(number)):
                        return
        self._drop(connection)

    def _answer(self, connection: socket.socket, reply: Reply) -> bool:
        self.over.wait(reply.after_s)
        for piece in reply.pieces:
            connection.sendall(piece)
            self.over.wait(reply.pause_s)
        if reply.then == "close":
            self._drop(connection)
        elif reply.then == "hang":
            self.over.wait()
        elif reply.then == "die":
            self.die()
        return reply.then == "keep"

    def _drop(self, connection: socket.socket) -> None:
        with self.lock:
            self.open.discard(connection)
        # Without this, closing does not wake a thread that is reading from it.
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()

    def die(self) -> None:
        """Stop listening, then close every connection."""
        self.over.set()
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
        for connection in list(self.open):
            self._drop(connection)


@contextlib.contextmanager
def fault_server(
    reply: Callable[[int], Reply] = lambda _: OK, *, greet: bool = True
) -> Iterator[FaultServer]:
    """A `FaultServer` while the block runs; none of its threads outlives it."""
    server = FaultServer(reply, greet)
    try:
        yield server
    finally:
        server.die()
        for thread in server.threads:
            thread.join(10)
            assert not thread.is_alive()


def stream(schedule: Schedule, path: str = "/", expect_body: bytes | None = BODY) -> Stream:
    """Requests whose body is checked."""
    return Stream("requests", path, schedule, expect_body)


def at_once(count: int) -> Open:
    """An open schedule with all requests due at the start."""
    import numpy as np

    return Open(np.zeros(count), "at once")


def kinds(trial: Trial) -> dict[str, int]:
    """How many rows ended in each way; "" for those that ended as expected."""
    return dict(Counter(str(error) for error in trial.rows["error"]))


def children(pid: int) -> set[int]:
    """Process ids of the running descendants of a process, zombies left out."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if fields[0] != "Z":
                parents[int(stat.parent.name)] = int(fields[1])
    found: set[int] = set()
    grown = {pid}
    while grown:
        grown = {child for child, parent in parents.items() if parent in grown} - found
        found |= grown
    return found


def runs(pid: int) -> bool:
    """Whether the process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def refuses(url: str) -> bool:
    """Whether nothing listens there any more."""
    host, port = url.removeprefix("http://").split(":")
    with socket.socket() as sock:
        return sock.connect_ex((host, int(port))) != 0


def attempts(check: Callable[..., object], *args: object, most: int = 3) -> None:
    """A check that rests on time, until it passes once; raises the last AssertionError.

    A machine that is disturbed fails it now and then, a broken instrument every time: what the
    check must see broken is asserted of as many attempts.
    """
    for _ in range(most - 1):
        with contextlib.suppress(AssertionError):
            check(*args)
            return
    check(*args)


def wait_until(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Whether the condition comes true in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


@dataclass(frozen=True)
class Leftovers:
    """What this process holds: the system's threads, descriptors with their aims, processes."""

    threads: frozenset[str]
    descriptors: frozenset[str]
    processes: frozenset[int]

    @classmethod
    def now(cls) -> Leftovers:
        """Count them."""
        descriptors = set()
        for link in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):  # the one that lists them
                descriptors.add(f"{link.name} -> {link.readlink()}")
        threads = {f"thread {task.name}" for task in Path("/proc/self/task").iterdir()}
        return cls(frozenset(threads), frozenset(descriptors), frozenset(children(os.getpid())))

    def more(self, before: Leftovers) -> list[str]:
        """What is there now and was not before."""
        return sorted(
            [*(self.threads - before.threads), *(self.descriptors - before.descriptors)]
            + [f"process {pid}" for pid in self.processes - before.processes]
        )


@contextlib.contextmanager
def no_leftovers(within_s: float = 2.0) -> Iterator[None]:
    """Assert that the block leaves no thread, descriptor, socket or process.

    Pool threads are told to end when their loop ends and do so a moment later. The load workers of
    `send_beside` stay for the next call, so they are ended first; what programs are forked from
    stays too, and is there before.
    """
    nursery.begin()
    before = Leftovers.now()
    try:
        yield
    finally:
        load.end_beside()
    wait_until(lambda: not Leftovers.now().more(before), within_s)
    left = Leftovers.now().more(before)
    assert not left, f"left behind: {left}"


@contextlib.contextmanager
def interrupted(after_s: float) -> Iterator[None]:
    """A block that Ctrl-C ends: SIGINT at the main thread, which may be waiting in a system call.

    Fails where the block ends otherwise. The block must be long enough.
    """
    main = threading.main_thread().ident
    assert main is not None
    timer = threading.Timer(after_s, signal.pthread_kill, (main, signal.SIGINT))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        timer.cancel()
        timer.join()
