"""Verdicts on record: one JSON line each, in the file of the run they belong to."""

from __future__ import annotations

import dataclasses
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab_apps.instruments import profile
from lab_apps.instruments.claims import Verdict

ROOT = Path(__file__).parents[2]
RUNS = ROOT / "data" / "runs"
SCHEMA = 1


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
        file.write(json.dumps(entry) + "\n")
    print(verdict)


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


def scorecard(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """The run as published: {"schema": 1, "claims": [{"id", "verdict", ...}]}."""
    claims = [
        {"id": entry["id"], "verdict": entry["outcome"]}
        | {key: value for key, value in entry.items() if key not in ("id", "outcome", "pairs")}
        for entry in entries
    ]
    return {"schema": SCHEMA, "claims": claims}


def claim_order(claim_id: str) -> list[int]:
    """Sort key of a claim's number: 5.3.1 comes after 5.3 and before 10.1."""
    return [int(part) for part in claim_id.split(".")]
