"""What the tests of the command `lab` share: checkouts with small notebooks, and calls of it."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab_apps.cli import main
from lab_apps.instruments import claims
from lab_apps.report.files import write

ALT = 'A "line" <up> & on'
FIGURE = f"""from lab_apps.instruments import plots
fig = plots.figure(3, 2)
_ = fig.subplots().plot([1, 2])
plots.show(fig, title="It rises", caption="n = 2", alt={ALT!r})"""
VERDICTS = """from lab_apps.instruments.claims import Verdict
from lab_apps.instruments.results import conclude
conclude(Verdict("5.2", "Of `a`, <b>", "ratio", "inconclusive", "no time", {}, 3.0, float("nan")))
conclude(Verdict("5.1", "An exact one", "exact", "refuted", "declared were 2", {"count": 1}))
conclude(Verdict("5.10", "A ratio", "ratio", "supported", "a/b > 3", {}, 3, 9.5, (8, 11), 9, 1))"""
PROGRESS = """from lab_apps.instruments.notebook import Progress
with Progress("rounds", 2) as progress:
    progress.step()
    progress.step()"""
ENVIRONMENT = """import os, pathlib, sys
print(sys.executable, pathlib.Path.cwd().name, os.environ["LAB_PROFILE"])"""
LINKS = """[a](00_first.ipynb#Part), [b](./index.ipynb), [c](12_later.ipynb), [d](https://example.org)

![stored](../data/reference/05_links.png)"""
STALE = "left from an earlier run"

RUN_LAB = "import sys, pathlib; from lab_apps.cli import main; "
RUN_LAB += "sys.exit(main(sys.argv[2:], root=pathlib.Path(sys.argv[1])))"


def code(source: str, *tags: str) -> dict[str, Any]:
    """A code cell that holds what an earlier run left."""
    return {
        "cell_type": "code",
        "execution_count": 7,
        "metadata": {"execution": {"iopub.status.busy": "2026-01-01"}, "tags": list(tags)},
        "outputs": [{"output_type": "stream", "name": "stdout", "text": STALE}],
        "source": source,
    }


def prose(source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": source}


def scratch(root: Path, **notebooks: list[dict[str, Any]]) -> Path:
    """A checkout with these notebooks ("n05_x" is 05_x), each with a heading of its name."""
    for name, cells in notebooks.items():
        cells = [prose(f"# {name}"), *cells]
        content = {
            "cells": [{**cell, "id": f"cell-{number}"} for number, cell in enumerate(cells)],
            "metadata": {},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
        write(root / "notebooks" / f"{name.removeprefix('n')}.ipynb", json.dumps(content))
    return root


@dataclass(frozen=True)
class Run:
    """What one call of `lab` came to."""

    root: Path
    status: int
    out: str
    err: str

    @property
    def report(self) -> Path:
        return self.root / "report"


def lab(root: Path, *args: str) -> Run:
    """Call `lab` and keep what it said."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        status = main(list(args), root=root)
    return Run(root, status, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def hostile_environment(home: Path) -> Iterator[pytest.MonkeyPatch]:
    """A user whose python3 kernel, IPython start-up and temporary folder would all spoil a run."""
    spec = {"argv": ["/bin/false"], "display_name": "mine", "language": "python"}
    write(home / "kernels/python3/kernel.json", json.dumps(spec))
    write(home / "profile_default/startup/00.py", "raise SystemExit('start-up file was read')")
    (home / ("x" * 90)).mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(home))
        patch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
        patch.setenv("IPYTHONDIR", str(home))
        patch.setattr(tempfile, "tempdir", str(home / ("x" * 90)))
        yield patch


def tree(root: Path) -> dict[str, bytes]:
    folders = [root / "notebooks", root / "data/reference"]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def mixed_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run in which three notebooks fail and two don't."""
    root = scratch(
        tmp_path_factory.mktemp("run"),
        n00_first=[code("1 + 1"), code("raise ValueError('one\\ntwo <b>')"), code("'not reached'")],
        n05_links=[
            prose(LINKS),
            *(code(FIGURE, "headline"), code(PROGRESS), code(VERDICTS), code(ENVIRONMENT)),
            *(code("1 / 0", "raises-exception"), code("import sys; print('x', file=sys.stderr)")),
        ],
        n07_dies=[code("import os; os._exit(1)"), code("'not reached'")],
        nindex=[code("print(len(open(__import__('os').environ['LAB_RUN_FILE']).readlines()))")],
    )
    png = b"\x89PNG stored"
    write(root / "data/reference/05_links.png", png)
    claim = claims.Claim("5.3", "exact", "Never judged", "-", expected={"a": 1})
    elsewhere = claims.Claim("9.1", "exact", "Not of these notebooks", "-", expected={"a": 1})
    with hostile_environment(tmp_path_factory.mktemp("home")) as patch:
        patch.setattr(claims, "load", lambda: {claim.id: claim, elsewhere.id: elsewhere})
        return lab(root, "run")


def empty_notebooks(root: Path) -> Path:
    """A checkout with four notebooks without a cell."""
    (root / "notebooks").mkdir()
    for name in ("00_instruments", "03_database_checks", "05_async_routes", "index"):
        notebook = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        (root / f"notebooks/{name}.ipynb").write_text(json.dumps(notebook))
    return root


def start(root: Path, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", RUN_LAB, str(root), *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
