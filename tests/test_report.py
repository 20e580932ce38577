"""`lab run` and `lab report`: what is said, what is shown, and what is kept, on small notebooks."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from checkouts import STALE, Run, code, lab, mixed_run, scratch

from lab_apps.instruments import claims
from lab_apps.report import execution
from lab_apps.report.files import write


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return mixed_run(tmp_path_factory)


def test_status_and_a_line_for_each_failed_notebook(run: Run) -> None:
    assert run.status == 1
    assert run.err.splitlines() == [
        "lab run: 00_first, cell In [2]: ValueError: one two <b>",
        "lab run: 07_dies, cell In [1]: the kernel died",
    ]


def test_plain_progress_table_and_place_of_the_report(run: Run) -> None:
    lines = run.out.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["00_first", "05_links", "07_dies", "index"]
    assert re.search(r"done in \d+ s$", lines[1])
    assert lines[5].split() == ["claim", "verdict", "measured", "rounds"]
    assert [line.split()[:2] for line in lines[6:9]] == [
        ["5.1", "refuted"],
        ["5.2", "inconclusive"],
        ["5.10", "supported"],
    ]
    assert lines[-1].startswith("report: ")
    assert lines[-1].endswith("report/index.html")
    assert "\r" not in run.out


def test_only_this_runs_outputs_are_shown(run: Run) -> None:
    for path in run.report.glob("notebooks/*.ipynb"):
        assert STALE not in path.read_text()
        assert "2026-01-01" not in path.read_text()
    first = execution.read(run.report / "notebooks/00_first.ipynb")
    assert [cell.get("execution_count") for cell in first.cells] == [None, 1, 2, None]
    assert first.cells[-1].outputs == []


def test_failure_is_shown_where_it_happened_and_on_the_front(run: Run) -> None:
    first = execution.read(run.report / "notebooks/00_first.ipynb")
    assert first.cells[2].outputs[0].ename == "ValueError"
    dead = execution.read(run.report / "notebooks/07_dies.ipynb")
    assert dead.cells[1].outputs[-1].evalue == "the kernel died"
    front = (run.report / "index.html").read_text()
    assert front.index("ValueError: one two &lt;b&gt;") < front.index("Scorecard")
    assert "the kernel died" in (run.report / "07_dies.html").read_text()


def test_kernel_is_this_python_in_the_notebooks_folder(run: Run) -> None:
    links = execution.read(run.report / "notebooks/05_links.ipynb")
    assert links.cells[5].outputs[0].text == f"{sys.executable} notebooks quick\n"


def test_metadata_is_stable_and_progress_keeps_its_last_state(run: Run) -> None:
    links = execution.read(run.report / "notebooks/05_links.ipynb")
    assert links.metadata.kernelspec.name == "python3"
    assert "version" not in links.metadata.language_info
    assert re.fullmatch(r"rounds 2/2, 0 s *\n", links.cells[3].outputs[0].text)


def test_index_runs_last_and_sees_the_verdicts(run: Run) -> None:
    index = execution.read(run.report / "notebooks/index.ipynb")
    assert index.cells[1].outputs[0].text == "3\n"
    assert [path.name for path in run.report.glob("index*.html")] != ["index.html"]


def test_scorecard_is_valid_json(run: Run) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    text = (run.report / "scorecard.json").read_text()
    card = json.loads(text, parse_constant=refuse)
    assert card["schema"] == 1
    assert [(claim["id"], claim["verdict"]) for claim in card["claims"]] == [
        ("5.1", "refuted"),
        ("5.2", "inconclusive"),
        ("5.10", "supported"),
    ]
    assert card["claims"][1]["ratio"] is None
    assert card["claims"][0]["versions"]["fastapi"]
    [run_file] = (run.root / "data/runs").iterdir()
    assert re.fullmatch(r"\d{8}T\d{6}Z_quick\.jsonl", run_file.name)


def test_report_is_rebuilt_without_running(run: Run) -> None:
    names = ["index.html", "05_links.html", "scorecard.json", "notebooks/07_dies.ipynb"]
    before = {name: (run.report / name).read_bytes() for name in names}
    (run.report / "05_links.html").unlink()
    (run.report / "scorecard.json").write_text("")
    claim = claims.Claim("5.3", "exact", "Never judged", "-", expected={"a": 1})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(claims, "load", lambda: {"5.3": claim})
        patch.setattr(execution, "execute", None)
        again = lab(run.root, "report")
    assert (again.status, again.err) == (0, "")
    assert {name: (run.report / name).read_bytes() for name in names} == before


@pytest.mark.parametrize("spoilt", ["notebooks/index.ipynb", "verdicts.jsonl"])
def test_report_of_a_damaged_run_is_refused(run: Run, spoilt: str) -> None:
    file = run.report / spoilt
    kept = file.read_bytes()
    file.write_bytes(b"{}\n")
    refused = lab(run.root, "report")
    file.write_bytes(kept)
    assert (refused.status, refused.err.count("\n")) == (2, 1)
    assert "lab run makes one" in refused.err


def test_next_run_leaves_nothing_of_the_last(tmp_path: Path) -> None:
    root = scratch(tmp_path, n00_first=[code("1")])
    assert lab(root, "run").status == 0
    (root / "notebooks/00_first.ipynb").unlink()
    scratch(root, n05_second=[])
    write(root / "report/mine.txt", "kept")
    done = lab(root, "run", "--profile", "full", "--only", "5")
    assert (done.status, done.err) == (0, "")
    assert "no verdicts" in done.out
    assert {path.name for path in done.report.iterdir()} == {
        *("index.html", "05_second.html", "scorecard.json", "verdicts.jsonl", "mine.txt"),
        "notebooks",
    }
    assert json.loads((done.report / "scorecard.json").read_text()) == {"schema": 1, "claims": []}
    assert list((root / "data/runs").iterdir()) == []
