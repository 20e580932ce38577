"""import-linter's contracts on a copied package: which are kept, and what it says of the others."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

LINT = "from importlinter.cli import lint_imports_command as lint; lint()"
COUNTED = r"Contracts: (\d+) kept, (\d+) broken"


@dataclass(frozen=True)
class Kept:
    """How many contracts a package keeps and breaks, and all that import-linter said."""

    kept: int
    broken: int
    said: str


@contextmanager
def copied(package: str, folder: Path, name: str) -> Iterator[Path]:
    """A copy of the package in `folder`, named `name` and with its imports of itself renamed.

    In a temporary folder, which goes with the block. Yields the copy's folder.
    """
    with tempfile.TemporaryDirectory(prefix="lab-contract-") as temporary:
        copy = Path(temporary, name)
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("__pycache__"))
        for file in copy.rglob("*.py"):
            source = file.read_text(encoding="utf-8")
            file.write_text(re.sub(rf"\b{re.escape(package)}\b", name, source), encoding="utf-8")
        yield copy


def lint(copy: Path, contracts: str, more: Mapping[str, str] | None = None) -> Kept:
    """Check the contracts, as TOML, of a copied package; with lines more at the end of some files.

    `more` are lines by file, relative to the copy, which are taken back afterwards. Raises
    RuntimeError with import-linter's last words where it could not check them.
    """
    files = {copy / file: (copy / file).read_text(encoding="utf-8") for file in more or {}}
    try:
        for (file, source), lines in zip(files.items(), (more or {}).values(), strict=True):
            file.write_text(f"{source}\n{lines}\n", encoding="utf-8")
        return _lint(copy, contracts)
    finally:
        for file, source in files.items():
            file.write_text(source, encoding="utf-8")


def _lint(copy: Path, contracts: str) -> Kept:
    with tempfile.NamedTemporaryFile("w", suffix=".toml", encoding="utf-8") as config:
        config.write(contracts)
        config.flush()
        done = subprocess.run(
            [sys.executable, "-c", LINT, config.name, "--no-cache", "--no-logo"],
            cwd=copy.parent,
            env=os.environ | {"PYTHONPATH": str(copy.parent), "NO_COLOR": "1", "COLUMNS": "100"},
            capture_output=True,
            text=True,
            check=False,
        )
    counted = re.search(COUNTED, done.stdout)
    if counted is None:
        said = " ".join((done.stderr + done.stdout).split())
        raise RuntimeError(f"import-linter could not check: {said[-200:]}")
    plain = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    return Kept(int(counted.group(1)), int(counted.group(2)), plain)
