"""Verdicts on record: one JSON line each, in the file of the run they belong to."""

from __future__ import annotations

import dataclasses
import json
import os
import textwrap
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab_apps.instruments import profile
from lab_apps.instruments.claims import Verdict

if TYPE_CHECKING:
    import pandas as pd

ROOT = Path(__file__).parents[2]
RUNS = ROOT / "data" / "runs"
REFERENCE = ROOT / "data" / "reference" / "verdicts.jsonl"
SCHEMA = 1
LONGEST = 300  # characters of what was seen, on a line


def run_file() -> Path:
    """Where verdicts of this run go: `LAB_RUN_FILE`, or data/runs/interactive.jsonl."""
    return Path(os.environ.get("LAB_RUN_FILE", RUNS / "interactive.jsonl"))


def conclude(verdict: Verdict) -> None:
    """Put the verdict on record and print its number and outcome, nothing else."""
    path = run_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    stamp = datetime.now(UTC).isoformat(timespec="seconds")
    entry = {"when": stamp, "profile": profile.name(), **dataclasses.asdict(verdict)}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry, default=_plain) + "\n")
    print(verdict)


def _plain(value: Any) -> Any:
    """What numpy counted, as JSON has it."""
    return value.tolist()


def read(path: Path) -> list[dict[str, Any]]:
    """The last verdict on each claim in a run's file, in the order of their numbers.

    Raises FileNotFoundError where nothing has been recorded, ValueError for a damaged line.
    """
    latest: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            entry = json.loads(line)
            latest[entry["id"]] = entry
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"{path}, line {number}, is not a recorded verdict") from None
    return [latest[claim] for claim in sorted(latest, key=claim_order)]


def seen(observed: Mapping[str, Any], reason: str) -> str:
    """What was seen for an exact claim: all of it, or its number and `reason` where it is long."""
    said = ", ".join(
        f"{key} = {value:.4g}" if isinstance(value, float) else f"{key} = {value}"
        for key, value in observed.items()
    )
    if len(said) <= LONGEST:
        return said
    return textwrap.shorten(f"{len(observed)} values: {reason}", LONGEST, placeholder=" …")


def scorecard(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """The run as published: {"schema": 1, "claims": [{"id", "verdict", ...}]}."""
    claims = [
        {"id": entry["id"], "verdict": entry["outcome"]}
        | {key: value for key, value in entry.items() if key not in ("id", "outcome", "pairs")}
        for entry in entries
    ]
    return {"schema": SCHEMA, "claims": claims}


def latest() -> list[dict[str, Any]]:
    """The verdicts of the run in `LAB_RUN_FILE`, else the newest here, else the reference ones.

    An empty list where there are none at all.
    """
    named = [Path(os.environ["LAB_RUN_FILE"])] if "LAB_RUN_FILE" in os.environ else []
    newest_first = sorted(RUNS.glob("*.jsonl"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in (*named, *newest_first, REFERENCE):
        if path.is_file():
            return read(path)
    return []


def table(entries: list[dict[str, Any]]) -> pd.DataFrame:
    """A line for each claim: verdict, statement, what was seen, profile and when."""
    import pandas as pd

    lines = [
        {
            "claim": entry["id"],
            "verdict": entry["outcome"],
            "statement": entry["statement"],
            "median ratio": None if entry["ratio"] is None else round(entry["ratio"], 2),
            "rounds": entry["rounds"] or None,
            "profile": entry["profile"],
            "when": entry["when"][:16].replace("T", " "),
        }
        for entry in entries
    ]
    # As objects, because a column of numbers takes no empty string.
    frame = pd.DataFrame(lines, dtype=object)
    return frame.fillna("").set_index("claim") if lines else frame


def claim_order(claim_id: str) -> list[int]:
    """Sort key of a claim's number: 5.3.1 comes after 5.3 and before 10.1."""
    return [int(part) for part in claim_id.split(".")]
