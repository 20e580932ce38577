"""How a process of the pool begins. It imports nothing else, so it is there in no time."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading


def begin() -> None:
    """Leave Ctrl-C to the server, and end when the server has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_server, daemon=True).start()


def end_with_server() -> None:
    """A server that was killed can't tell its pool to end."""
    server = multiprocessing.parent_process()
    assert server is not None
    server.join()
    os._exit(1)
