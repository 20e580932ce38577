"""How far a notebook has come: one updating line on a terminal, a line now and then elsewhere."""

from __future__ import annotations

from typing import TextIO

PLAIN_EVERY_S = 10.0


class ProgressLine:
    """`05_async_routes  cell 7 of 23, 14 s`, then what came of it."""

    def __init__(self, name: str, stream: TextIO) -> None:
        self.name, self.stream = name, stream
        self.live = stream.isatty()
        self.last_s = 0.0

    def show(self, cell: int, total: int, seconds: float) -> None:
        """The cell being run, of how many, and the seconds so far."""
        if self.live or seconds - self.last_s >= PLAIN_EVERY_S:
            self.last_s = seconds
            self._write(f"cell {cell} of {total}, {seconds:.0f} s", "" if self.live else "\n")

    def end(self, text: str) -> None:
        """The last state of the line."""
        self._write(text, "\n")

    def _write(self, text: str, end: str) -> None:
        start = "\r\x1b[K" if self.live else ""
        self.stream.write(f"{start}{self.name:<18} {text}{end}")
        self.stream.flush()
