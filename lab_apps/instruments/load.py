"""Load from a process of its own, so that client and server share neither GIL nor event loop."""

from __future__ import annotations

import atexit

from lab_apps.instruments.child import Child
from lab_apps.instruments.trial import Trial
from lab_apps.instruments.wire import Sent, Stream

TIMEOUT_S = 30.0

_worker = Child("lab_apps.instruments.sender:send")
atexit.register(_worker.close)


def send(url: str, *streams: Stream, timeout_s: float = TIMEOUT_S, warm_up: int = 1) -> Trial:
    """Send the streams together at `url` from the load worker; return every request as a row.

    The worker is started on first use and lives as long as this process. An interrupt ends it,
    and the next call starts a new one. Every stream first opens its connections and sends
    `warm_up` requests that are not counted. Raises ValueError for an address that isn't
    `http://host:port`, and ChildError when the worker dies.
    """
    if not url.startswith("http://"):
        raise ValueError(f"the load worker speaks plain HTTP/1.1: http://host:port, not {url!r}")
    sent: Sent = _worker.call(url, streams, timeout_s, warm_up)
    return Trial.of(sent, tuple(stream.name for stream in streams))


def worker_pid() -> int | None:
    """Process id of the load worker, None while it isn't running."""
    return _worker.pid
