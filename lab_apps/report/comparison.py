"""A verdict now against the one that a notebook has stored.

A cell tagged `verdict` prints "5.3 supported" and nothing else. Supported and refuted must not
change places; *not measurable here* passes and is listed; *inconclusive* is listed too, and more
than two of them in a run fail. A verdict that failed requests prevented always fails.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from lab_apps.instruments import results

MOST_INCONCLUSIVE = 2
VERDICT = re.compile(
    r"(?P<id>\d+(\.\d+)+) (?P<outcome>supported|refuted|inconclusive|not measurable here)"
    r"(?P<why> \(requests failed\))?\n?"
)


def parse(outputs: Iterable[Mapping[str, Any]]) -> tuple[str, str, bool]:
    """Number, outcome and whether requests failed, of a verdict cell's outputs.

    Raises ValueError where they are anything but one printed verdict.
    """
    outputs = list(outputs)
    text = "".join(output.get("text", "") for output in outputs if output.get("name") == "stdout")
    match = VERDICT.fullmatch(text)
    if match is None or any(output.get("name") != "stdout" for output in outputs):
        raise ValueError(f"a verdict cell prints its number and outcome, not {text!r}")
    return match["id"], match["outcome"], match["why"] is not None


def disagreement(
    stored: Iterable[Mapping[str, Any]], now: Iterable[Mapping[str, Any]], listed: list[str]
) -> str:
    """Why the verdict now isn't the stored one, "" where it may pass; lists undecided ones."""
    try:
        before, after = parse(stored), parse(now)
    except ValueError as error:
        return str(error)
    number, outcome, failed = after
    if before[0] != number:
        return f"the stored verdict is on claim {before[0]}, this one on {number}"
    if failed:
        return f"claim {number}: requests failed, so there is no verdict"
    if outcome in ("inconclusive", "not measurable here"):
        listed.append(f"{number} {outcome}")
        count = sum(entry.endswith("inconclusive") for entry in listed)
        if outcome == "inconclusive" and count > MOST_INCONCLUSIVE:
            return f"{count} verdicts are inconclusive: {', '.join(listed)}"
        return ""
    if before[1] in ("supported", "refuted") and outcome != before[1]:
        return f"claim {number} was {before[1]} and is now {outcome}"
    return ""


def reason(outputs: Iterable[Mapping[str, Any]]) -> str:
    """What the record of this run gives as the reason of a verdict cell's verdict, or "".

    For an exact claim it names the values that differ.
    """
    with contextlib.suppress(OSError, ValueError):
        number = parse(outputs)[0]
        entries = results.read(results.run_file())
        return next((str(entry["reason"]) for entry in entries if entry["id"] == number), "")
    return ""
