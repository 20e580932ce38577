"""What `lab run` stores with `--refresh` and when it doesn't, and the calls that it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from checkouts import FIGURE, PROGRESS, STALE, VERDICTS, code, lab, scratch, tree

from lab_apps.instruments import claims, results
from lab_apps.report import execution
from lab_apps.report.files import CannotRun, choose, write


def test_refresh_stores_the_same_bytes_when_nothing_changes(tmp_path: Path) -> None:
    root = scratch(
        tmp_path,
        n05_links=[code(FIGURE, "headline"), code(VERDICTS), code(PROGRESS), code("2 + 2")],
        nindex=[code("print('index')")],
    )
    other = {**json.loads(_recorded("9.1")), "outcome": "supported"}
    write(root / "data/reference/verdicts.jsonl", json.dumps(other) + "\n")
    first = lab(root, "run", "--refresh", "--only", "05")
    assert (first.status, first.err) == (0, "")
    stored = tree(root)
    assert set(stored) == {
        *("notebooks/05_links.ipynb", "notebooks/index.ipynb"),
        *("data/reference/05_links.png", "data/reference/verdicts.jsonl"),
    }
    assert stored["data/reference/05_links.png"].startswith(b"\x89PNG")
    verdicts = results.read(root / "data/reference/verdicts.jsonl")
    assert [entry["id"] for entry in verdicts] == ["5.1", "5.2", "5.10", "9.1"]
    assert verdicts[0]["machine"]["cores"]
    notebook = execution.read(root / "notebooks/05_links.ipynb")
    assert "lab" not in notebook.metadata
    assert [cell.id for cell in notebook.cells] == [f"cell-{number}" for number in range(5)]
    assert STALE.encode() in stored["notebooks/index.ipynb"]  # not asked for, not touched

    assert lab(root, "run", "--refresh", "--only", "05").status == 0
    again = tree(root)
    del stored["data/reference/verdicts.jsonl"], again["data/reference/verdicts.jsonl"]  # dated
    assert again == stored


def _recorded(claim: str) -> str:
    verdict = claims.Verdict(claim, "s", "exact", "refuted", "r", {"a": 1})
    entry = {"when": "2026-01-01", "profile": "quick", **verdict.__dict__}
    return json.dumps(entry)


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        (code("import warnings; warnings.warn('old')"), r"In \[1\] wrote to stderr: .*old"),
        (code("raise OSError('x')"), r"In \[1\]: OSError: x"),
        (code("1", "headline"), r"In \[1\] is tagged headline without a picture"),
    ],
    ids=["stderr", "exception", "no picture"],
)
def test_refresh_stores_nothing_unless_all_is_well(tmp_path: Path, cell: Any, says: str) -> None:
    root = scratch(tmp_path, n05_bad=[cell])
    before = tree(root)
    done = lab(root, "run", "--refresh")
    assert done.status == 1
    assert re.fullmatch(rf"lab run: 05_bad, cell {says}.*; nothing was stored\n", done.err)
    assert tree(root) == before
    assert (done.report / "05_bad.html").exists()


@pytest.mark.parametrize("out", ["file", "file/report", "notebooks", "."])
def test_unusable_out_is_one_line(tmp_path: Path, out: str) -> None:
    root = scratch(tmp_path, n05_any=[code("1")])
    write(root / "file", "")
    before = tree(root)
    done = lab(root, "run", "--out", str(root / out))
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert "--out DIR" in done.err
    assert tree(root) == before


def test_other_things_that_cannot_be_run_are_one_line(tmp_path: Path) -> None:
    none = lab(tmp_path, "run")
    assert (none.status, none.err.count("\n")) == (2, 1)
    assert "make setup" in none.err

    root = scratch(tmp_path, n05_any=[code("1")])
    write(root / "data/runs", "a file")
    runs_are_a_file = lab(root, "run")
    assert (runs_are_a_file.status, runs_are_a_file.err.count("\n")) == (2, 1)
    assert "data/runs" in runs_are_a_file.err

    for damage in ("{", "[]", '{"cells": 1}', '{"nbformat": 4, "cells": []}', "\xff"):
        (root / "notebooks/05_any.ipynb").write_bytes(damage.encode("latin-1"))
        damaged = lab(root, "run")
        assert (damaged.status, damaged.err.count("\n")) == (2, 1)
        assert "05_any.ipynb is not a notebook" in damaged.err

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_PROFILE", "slow")
        profile = lab(root, "run")
    assert (profile.status, profile.err.count("\n")) == (2, 1)
    assert "'slow'" in profile.err


def test_notebooks_are_chosen_by_number_or_name(tmp_path: Path) -> None:
    scratch(tmp_path, n10_c=[], n05_b=[], nindex=[], n00_a=[])
    folder = tmp_path / "notebooks"

    def names(only: str | None) -> list[str]:
        return [path.stem for path in choose(folder, only)]

    assert names(None) == ["00_a", "05_b", "10_c", "index"]
    assert names("index, 5,00") == ["00_a", "05_b", "index"]
    assert names("10_c") == ["10_c"]
    with pytest.raises(CannotRun, match=r"'07'.*00, 05, 10, index"):
        choose(folder, "00,7")
