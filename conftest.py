"""nbval compares notebooks to the letter; cells tagged `verdict` are compared by what they mean."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from lab_apps.report.comparison import disagreement, reason

undecided: list[str] = []


def _compare(item: Any, now: Any, stored: Any, **_: Any) -> bool:
    why = disagreement(stored, now, undecided)
    item.comparison_traceback = [why, reason(now)]
    return not why


def pytest_itemcollected(item: pytest.Item) -> None:
    """Put our comparison in place of nbval's on verdict cells."""
    cell = getattr(item, "cell", None)
    if cell is not None and "verdict" in cell.metadata.get("tags", []):
        item.compare_outputs = functools.partial(_compare, item)  # type: ignore[attr-defined]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """List the claims that were not decided."""
    if undecided:
        terminalreporter.section("verdicts without a decision")
        for line in undecided:
            terminalreporter.line(line)
