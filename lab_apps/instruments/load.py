"""Load from a process of its own, so that client and server share neither GIL nor event loop."""

from __future__ import annotations

import atexit

from lab_apps.instruments.child import Child
from lab_apps.instruments.trial import Trial
from lab_apps.instruments.wire import Sent, Stream

TIMEOUT_S = 30.0

SENDER = "lab_apps.instruments.sender:send"

_worker = Child(SENDER)
atexit.register(_worker.close)
_beside: list[Child] = []  # those that are idle; append and pop are atomic


def send(url: str, *streams: Stream, timeout_s: float = TIMEOUT_S, warm_up: int = 1) -> Trial:
    """Send the streams together at `url` from the load worker; return every request as a row.

    The worker is started on first use and lives as long as this process. An interrupt ends it,
    and the next call starts a new one. Every stream first opens its connections and sends
    `warm_up` requests that are not counted. Raises ValueError for an address that isn't
    `http://host:port`, and ChildError when the worker dies.
    """
    return _send(_worker, url, streams, timeout_s, warm_up)


def send_beside(
    url: str, *streams: Stream, timeout_s: float = TIMEOUT_S, warm_up: int = 1
) -> Trial:
    """The same, from any thread: there are as many load workers as threads that send at a time.

    For load that is far from what a client can send; otherwise they take each other's cores.
    """
    try:
        worker = _beside.pop()
    except IndexError:
        worker = Child(SENDER)
    try:
        return _send(worker, url, streams, timeout_s, warm_up)
    finally:
        _beside.append(worker)


def end_beside() -> None:
    """End the load workers of `send_beside` that are idle; it starts new ones. Done at exit too."""
    while _beside:
        _beside.pop().close()


atexit.register(end_beside)


def _send(
    worker: Child, url: str, streams: tuple[Stream, ...], timeout_s: float, warm_up: int
) -> Trial:
    if not url.startswith("http://"):
        raise ValueError(f"the load worker speaks plain HTTP/1.1: http://host:port, not {url!r}")
    sent: Sent = worker.call(url, streams, timeout_s, warm_up)
    return Trial.of(sent, tuple(stream.name for stream in streams))


def worker_pid() -> int | None:
    """Process id of the load worker, None while it isn't running."""
    return _worker.pid
