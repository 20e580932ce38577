"""What processes have noted about their tasks in a file that outlives them."""

from __future__ import annotations

import json
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

POLL_S = 0.01


class Event(NamedTuple):
    """A line: when (`perf_counter_ns`), which process and thread, which task, and what of it."""

    at_ns: int
    pid: int
    thread: str
    task: str
    what: str


class Ledger:
    """A file in a temporary folder, there for the block. Specimens append to it, this reads.

    A line is a JSON list as `Event` has it; one without its line break is still being written.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="lab-ledger-")
        self.path.touch()

    def __enter__(self) -> Ledger:
        """The empty ledger."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove the file."""
        self._folder.cleanup()

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self._folder.name) / "ledger"

    @property
    def events(self) -> list[Event]:
        """All events so far, in the order of their stamps.

        Raises FileNotFoundError after the block.
        """
        lines = self.path.read_text(encoding="utf-8").split("\n")[:-1]
        return sorted(Event(*json.loads(line)) for line in lines)

    def times(self, what: str) -> Counter[str]:
        """How often each task has noted this."""
        return Counter(event.task for event in self.events if event.what == what)

    def wait_for(self, what: str, tasks: int, timeout_s: float) -> None:
        """Wait until so many tasks have noted it. Raises TimeoutError with the number that have."""
        latest_s = time.monotonic() + timeout_s
        while (seen := len(self.times(what))) < tasks:
            if time.monotonic() > latest_s:
                raise TimeoutError(f"{seen} of {tasks} tasks were {what} after {timeout_s} s")
            time.sleep(POLL_S)
