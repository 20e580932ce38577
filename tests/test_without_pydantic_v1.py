"""Where `pydantic.v1` can't be used, what needs it isn't measured, and nothing else changes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from lab_apps.instruments import claims
from lab_apps.report.comparison import parse

ROOT = Path(__file__).parents[1]
CLAIMS = claims.load()

# Python imports this module by itself when it starts.
RAISING = """
import sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "pydantic.v1" or name.startswith("pydantic.v1."):
            raise ImportError("no pydantic.v1 on this Python")
sys.meta_path.insert(0, Finder())
"""
# As older releases of it are on Python 3.14: with a warning at the import.
WARNING = """
import sys, warnings
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "pydantic.v1":
            warnings.warn("pydantic.v1 isn't compatible with this Python", UserWarning, 2)
sys.meta_path.insert(0, Finder())
"""


# An import that passes and models that can't be built.
FAILING = """
import pydantic.v1.main
def fail(*args, **kwargs):
    raise TypeError("no models of Pydantic 1 on this Python")
pydantic.v1.main.ModelMetaclass.__new__ = fail
"""
WAYS = {"raising": RAISING, "warning": WARNING, "failing": FAILING}


@pytest.fixture(params=WAYS)
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """The environment of a process in which pydantic.v1 can't be used."""
    (tmp_path / "sitecustomize.py").write_text(WAYS[request.param])
    return os.environ | {"PYTHONPATH": str(tmp_path), "LAB_RUN_FILE": str(tmp_path / "run.jsonl")}


def run(code: str, environment: dict[str, str]) -> str:
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_specimens_import_and_only_its_cells_are_missing(environment: dict[str, str]) -> None:
    code = (
        "import json\n"
        "from lab_apps.practices import unions, validation\n"
        "from lab_apps.practices.unions.cases import CASES\n"
        "from lab_apps.practices.unions.forms import from_json, from_objects, in_v1\n"
        "print({in_v1(case) for case in CASES}, len(unions.app.openapi()['paths']) > 0)\n"
        "for form in (from_objects, from_json):\n"
        "    print(json.dumps({case.name: form(case) for case in CASES}))\n"
    )
    missing, objects, from_bytes = run(code, environment).splitlines()
    assert missing == "{'–'} True"
    assert json.loads(objects) == CLAIMS["8.2.1"].expected
    assert json.loads(from_bytes) == CLAIMS["8.2.2"].expected


def test_claims_that_need_it_are_not_measurable(environment: dict[str, str]) -> None:
    code = (
        "from lab_apps.instruments import claims\n"
        "for claim in claims.load().values():\n"
        "    if 'pydantic.v1' in claim.needs:\n"
        "        verdict = claims.exact(claim, {})\n"
        "        print(verdict, '-', verdict.reason)\n"
    )
    lines = run(code, environment).splitlines()
    assert [line.partition(" ")[0] for line in lines] == [
        claim.id for claim in CLAIMS.values() if "pydantic.v1" in claim.needs
    ]
    assert lines
    assert all("not measurable here - pydantic.v1 can't be used here" in line for line in lines)


@pytest.mark.long
@pytest.mark.parametrize("environment", ["raising"], indirect=True)
@pytest.mark.parametrize("name", ["02_validation", "08_unions"])
def test_notebooks_run_without_it(name: str, environment: dict[str, str], tmp_path: Path) -> None:
    """Every verdict as stored, but for the claims that need it; and nbval has no complaint."""
    notebook = ROOT / f"notebooks/{name}.ipynb"
    executed = tmp_path / "executed.ipynb"
    command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", str(notebook)]
    command += ["--output", str(executed)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

    def verdicts(path: Path) -> dict[str, str]:
        cells = nbformat.read(path, as_version=4).cells  # type: ignore[no-untyped-call]
        tagged = [cell for cell in cells if "verdict" in cell.metadata.get("tags", [])]
        return {number: outcome for number, outcome, _ in (parse(c.outputs) for c in tagged)}

    stored, now = verdicts(notebook), verdicts(executed)
    lacking = {number for number in stored if "pydantic.v1" in CLAIMS[number].needs}
    assert lacking
    assert {now[number] for number in lacking} == {"not measurable here"}
    undecided = ("inconclusive", "not measurable here")
    for number in stored.keys() - lacking:
        assert now[number] == stored[number] or now[number] in undecided


@pytest.mark.long
@pytest.mark.parametrize("environment", ["raising"], indirect=True)
@pytest.mark.parametrize("name", ["02_validation", "08_unions"])
def test_nbval_passes_without_it(name: str, environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", "", "--nbval"]
    command += ["--nbval-current-env", "--nbval-cell-timeout=120", f"notebooks/{name}.ipynb"]
    environment.pop("PYTEST_CURRENT_TEST", None)
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
