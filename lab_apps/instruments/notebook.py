"""What a notebook shows besides pictures: progress, source code, the small print of a verdict."""

from __future__ import annotations

import inspect
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from lab_apps.instruments import results
from lab_apps.instruments.claims import Verdict


class Progress:
    """One line of text that is updated in place: `rounds 7/40, 3 s`."""

    def __init__(self, what: str, total: int | None = None) -> None:
        self.what, self.total, self.done = what, total, 0
        self.begun = time.monotonic()

    def __enter__(self) -> Progress:
        """Show the line at once."""
        self._show()
        return self

    def step(self, note: str = "") -> None:
        """Count one more and show it."""
        self.done += 1
        self._show(note)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the line."""
        sys.stdout.write("\n")

    def _show(self, note: str = "") -> None:
        total = f"/{self.total}" if self.total else ""
        elapsed_s = time.monotonic() - self.begun
        text = f"{self.what} {self.done}{total}, {elapsed_s:.0f} s{' · ' if note else ''}{note}"
        sys.stdout.write(f"\r{text:<78}")
        sys.stdout.flush()


def show_source(*things: Callable[..., Any]) -> None:
    """Display the source of functions or classes as the specimen has it, decorators included."""
    from IPython.display import Markdown, display

    code = "\n\n".join(inspect.getsource(thing).rstrip() for thing in things)
    display(Markdown(f"```python\n{code}\n```"))  # type: ignore[no-untyped-call]


def small_print(*verdicts: Verdict) -> None:
    """Print what stands behind each verdict: numbers, rounds, interval, versions, machine."""
    for verdict in verdicts:
        print(f"{verdict.id}  {verdict.outcome}: {verdict.reason}")
        print(f"      {verdict.statement}")
        if verdict.kind == "exact":
            print(f"      {results.seen(verdict.observed, verdict.reason)}")
        elif verdict.ratio is not None:
            low, high = verdict.interval or (float("nan"), float("nan"))
            print(
                f"      median ratio {verdict.ratio:.3g}, interval {low:.3g} .. {high:.3g}"
                f" (descriptive), theta {verdict.theta:g}, {verdict.rounds} rounds"
                f" in {verdict.seconds:g} s, {verdict.rejected} more rejected (arm a disturbed in"
                f" {verdict.rejected_by_arm[0]}, b in {verdict.rejected_by_arm[1]}),"
                f" seed {verdict.seed}"
            )
    if verdicts:
        made = verdicts[-1]
        print("      " + ", ".join(f"{name} {number}" for name, number in made.versions.items()))
        print("      " + ", ".join(f"{name} {value}" for name, value in made.machine.items()))
