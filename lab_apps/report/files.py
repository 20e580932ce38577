"""Where a run reads and writes, and writing so that no half a file is ever seen."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


class CannotRun(Exception):
    """Something outside the notebooks is wrong; the text says in one line what, and the remedy."""


@dataclass(frozen=True)
class Checkout:
    """The project's folders, from its root."""

    root: Path

    @property
    def notebooks(self) -> Path:
        """The notebooks as committed."""
        return self.root / "notebooks"

    @property
    def runs(self) -> Path:
        """The reader's own verdicts, a file for each run; not in git."""
        return self.root / "data" / "runs"

    @property
    def reference(self) -> Path:
        """Pictures and verdicts of the machine that the committed notebooks were run on."""
        return self.root / "data" / "reference"

    def new_run_file(self, profile: str) -> Path:
        """data/runs/STAMP_PROFILE.jsonl, not there yet. Raises CannotRun where it can't be made."""
        path = self.runs / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}_{profile}.jsonl"
        try:
            self.runs.mkdir(parents=True, exist_ok=True)
            path.touch()
            path.unlink()  # a run without verdicts leaves no file
        except OSError as error:
            raise CannotRun(
                f"can't write to {self.runs} ({error.strerror}): the verdicts are kept there;"
                " make it a folder you may write to"
            ) from None
        return path


def choose(notebooks: Path, only: str | None = None) -> list[Path]:
    """The notebooks to run, in the order of their numbers, the index last.

    `only` names some by number or name, separated by commas: "00,05". Raises CannotRun where there
    are none, or none of that name.
    """
    found = sorted(notebooks.glob("*.ipynb"), key=lambda path: (path.stem == "index", path.stem))
    if not found:
        raise CannotRun(f"no notebooks in {notebooks}: run lab in a checkout set up by make setup")
    if only is None:
        return found
    wanted = [two_digits(name.strip()) for name in only.split(",")]
    known = {_number(path): path for path in found} | {path.stem: path for path in found}
    for name in wanted:
        if name not in known:
            numbers = ", ".join(_number(path) for path in found)
            raise CannotRun(f"there is no notebook {name!r}: --only takes some of {numbers}")
    return [path for path in found if path in {known[name] for name in wanted}]


def two_digits(number: str) -> str:
    """ "5" as the notebooks have it, "05"; what isn't a number as it is."""
    return number.zfill(2) if number.isdecimal() else number


def lines(entries: Sequence[Mapping[str, Any]]) -> str:
    """The recorded verdicts as they stand in a run's file."""
    return "".join(json.dumps(entry) + "\n" for entry in entries)


def write(path: Path, content: str | bytes) -> None:
    """Write the whole file or leave the old one; makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content.encode() if isinstance(content, str) else content)
    part.replace(path)


def _number(path: Path) -> str:
    """What a notebook is called on the command line: "05", or its name where it has no number."""
    number = path.stem.partition("_")[0]
    return number if number.isdecimal() else path.stem
