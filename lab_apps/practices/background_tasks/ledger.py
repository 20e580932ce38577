"""What became of the work: a line in a file for each event, which outlives the process."""

from __future__ import annotations

import json
import os
import threading
import time

VARIABLE = "LEDGER"


def note(task: str, event: str) -> None:
    """Append a line to the file that the environment variable LEDGER names; nothing without one.

    One write of a line at the end of a file is whole (open(2), O_APPEND), whatever other processes
    write, and stays when this one is killed. Stamps are of a clock that all processes share.
    """
    if path := os.environ.get(VARIABLE):
        thread = threading.current_thread().name
        line = [time.perf_counter_ns(), os.getpid(), thread, task, event]
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, f"{json.dumps(line)}\n".encode())
        finally:
            os.close(descriptor)
