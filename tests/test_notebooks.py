"""The stored notebooks: complete, quiet, described, and red when a verdict flips."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from lab_apps.instruments import claims
from lab_apps.report.comparison import parse

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MAX_LINES = 15


def code_cells(path: Path) -> list[Any]:
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def faults(cell: Any) -> list[str]:
    """What must not be in a stored code cell."""
    found = []
    if not isinstance(cell.execution_count, int):
        found.append("no execution count: nbval would run it and compare nothing")
    if len(cell.source.splitlines()) > MAX_LINES:
        found.append(f"{len(cell.source.splitlines())} lines")
    for output in cell.outputs:
        if output.output_type == "error" or output.get("name") == "stderr":
            found.append("an error or a warning is stored")
        data = output.get("data", {})
        picture = output.get("metadata", {}).get("image/png", {})
        if "image/png" in data and not picture.get("alt"):
            found.append("a picture without alternative text")
        if any("widget" in kind for kind in data):
            found.append("a widget, which shows as broken when the notebook is opened")
        if re.search(r" at 0x[0-9a-f]{6,}", data.get("text/plain", "")):
            found.append("an object's address, which the next run doesn't have")
        if "\r" in output.get("text", ""):
            found.append("progress that was not reduced to its last line")
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_cells_are_complete_and_quiet(path: Path) -> None:
    cells = code_cells(path)
    assert cells
    assert {cell.id: faults(cell) for cell in cells if faults(cell)} == {}


def test_each_fault_is_noticed() -> None:
    cell = nbformat.v4.new_code_cell("x\n" * 16)  # type: ignore[no-untyped-call]
    picture: dict[str, Any] = {"data": {"image/png": "aGk="}, "metadata": {}}
    widget: dict[str, Any] = {
        "data": {"application/vnd.jupyter.widget-view+json": {}},
        "metadata": {},
    }
    cell.outputs = [
        nbformat.v4.new_output("stream", name="stderr", text="careful"),  # type: ignore[no-untyped-call]
        nbformat.v4.new_output("stream", name="stdout", text="1\r2"),  # type: ignore[no-untyped-call]
        nbformat.v4.new_output("display_data", **picture),  # type: ignore[no-untyped-call]
        nbformat.v4.new_output("display_data", **widget),  # type: ignore[no-untyped-call]
        nbformat.v4.new_output("execute_result", data={"text/plain": repr(object())}),  # type: ignore[no-untyped-call]
    ]
    assert len(faults(cell)) == 7


def test_every_declared_claim_has_one_verdict_cell() -> None:
    cells = [cell for path in NOTEBOOKS for cell in code_cells(path)]
    verdicts = [cell for cell in cells if "verdict" in cell.metadata.get("tags", [])]
    assert sorted(parse(cell.outputs)[0] for cell in verdicts) == sorted(claims.load())


def test_notebooks_and_specimens_have_the_same_names() -> None:
    specimens = {
        path.name.removesuffix(".py")
        for path in (ROOT / "lab_apps/practices").iterdir()
        if not path.name.startswith("_")
    }
    practices = {path.stem[3:] for path in NOTEBOOKS if path.stem[:2] in PRACTICES}
    assert practices == specimens


PRACTICES = [f"{number:02}" for number in range(1, 11)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_links_between_files_lead_somewhere(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", cell.source):
                assert (path.parent / target).exists(), f"{path.name}, {cell.id}: {target}"


def test_readme_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", (ROOT / "README.md").read_text()):
        assert (ROOT / target).exists(), target


EXCERPT = ["setup", "setup-lab", "setup-specimen", "routes", "exact-run", "exact"]
EXCERPT += ["verdict-5-1", "verdict-5-2", "verdict-5-3"]
PINGS = "lab_apps/practices/async_routes/pings.py"


@pytest.fixture
def excerpt(tmp_path: Path) -> Path:
    """A copy of the package and of what notebook 05 needs for its exact verdicts."""
    for name in ("lab_apps", "conftest.py", "pyproject.toml"):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, tmp_path / name)
    notebook = nbformat.read(ROOT / "notebooks/05_async_routes.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    notebook.cells = [cell for cell in notebook.cells if cell.id in EXCERPT]
    assert [cell.id for cell in notebook.cells] == EXCERPT
    nbformat.write(notebook, tmp_path / "excerpt.ipynb")  # type: ignore[no-untyped-call]
    return tmp_path


def nbval(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", "", "--nbval"]
    command += ["--nbval-current-env", "--nbval-cell-timeout=60", "excerpt.ipynb"]
    environment = os.environ | {"PYTHONPATH": str(folder), "LAB_PROFILE": "quick"}
    environment.pop("PYTEST_CURRENT_TEST", None)
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_verdict_that_flips_turns_the_notebook_red(excerpt: Path) -> None:
    assert nbval(excerpt).returncode == 0
    specimen = excerpt / PINGS
    code = specimen.read_text()
    broken = code.replace(
        "    time.sleep(hold_ms / 1e3)", "    await asyncio.sleep(hold_ms / 1e3)", 1
    )
    assert broken != code
    specimen.write_text(broken)
    result = nbval(excerpt)
    assert result.returncode == 1
    assert "claim 5.3 was supported and is now refuted" in result.stdout
    assert re.search(r"'[^']+' is .+, declared was ", result.stdout)
    assert f"1 failed, {len(EXCERPT) - 1} passed" in result.stdout


def test_failing_requests_turn_the_notebook_red(excerpt: Path) -> None:
    specimen = excerpt / PINGS
    code = specimen.read_text()
    broken = code.replace('{"victim": "served"', '{"victim": "spared"')
    assert broken != code
    specimen.write_text(broken)
    result = nbval(excerpt)
    assert result.returncode == 1
    assert "claim 5.3: requests failed, so there is no verdict" in result.stdout
