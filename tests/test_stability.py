"""Whole notebooks again and again, quiet and disturbed. Takes long: `make test-long`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab_apps.instruments import claims, results
from lab_apps.instruments.results import ROOT

RUNS = 5
SECONDS = 60  # a notebook, from its kernel's start to its last cell


def verdicts(
    folder: Path, number: str, before: tuple[str, ...] = ()
) -> tuple[dict[str, str], float]:
    """The verdicts of one run of a notebook and how many seconds it took."""
    out = folder / "report"
    command = [
        *before,
        sys.executable,
        "-m",
        "lab_apps",
        "run",
        "--only",
        number,
        "--out",
        str(out),
    ]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    seconds = float(said.stdout.split("done in ")[1].split(" s")[0])
    return {
        entry["id"]: entry["outcome"] for entry in results.read(out / "verdicts.jsonl")
    }, seconds


@pytest.fixture
def hog() -> Iterator[None]:
    """A process that burns a core."""
    burner = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    yield
    burner.kill()
    burner.wait()


STORED = {entry["id"]: entry["outcome"] for entry in results.read(results.REFERENCE)}
DECIDED = ("supported", "refuted")


def check(runs: list[tuple[dict[str, str], float]]) -> None:
    """No verdict differs from the stored one, and at most one in all runs is inconclusive."""
    for found, seconds in runs:
        others = {claim: outcome for claim, outcome in found.items() if outcome != STORED[claim]}
        print(f"{seconds:.0f} s, {len(found)} verdicts, other than stored: {others}")
    for found, _ in runs:
        assert {c: o for c, o in found.items() if o in DECIDED and STORED[c] != o} == {}
    assert sum(list(found.values()).count("inconclusive") for found, _ in runs) <= 1


@pytest.mark.long
@pytest.mark.parametrize("number", ["00", "05", "09"])
def test_verdicts_and_time_when_quiet(number: str, tmp_path: Path) -> None:
    runs = [verdicts(tmp_path, number) for _ in range(RUNS)]
    check(runs)
    assert max(seconds for _, seconds in runs) < SECONDS


@pytest.mark.long
@pytest.mark.usefixtures("hog")
@pytest.mark.parametrize("number", ["00", "05", "09"])
def test_verdicts_beside_a_process_that_burns_a_core(number: str, tmp_path: Path) -> None:
    check([verdicts(tmp_path, number) for _ in range(RUNS)])


@pytest.mark.long
@pytest.mark.skipif(
    os.getuid() != 0 or shutil.which("unshare") is None, reason="only root can hide /proc"
)
@pytest.mark.parametrize("number", ["05", "09"])
def test_without_proc_the_exact_claims_run(number: str, tmp_path: Path) -> None:
    """But for those that say what they need of it."""
    hide = ("unshare", "-m", "sh", "-c", 'mount -t tmpfs none /proc && exec "$0" "$@"')
    found, _ = verdicts(tmp_path, number, hide)
    declared = claims.load()
    expected = {c: o for c, o in STORED.items() if c.startswith(f"{int(number)}.")}
    assert found == {
        number: outcome
        if declared[number].kind == "exact" and "high-water mark" not in declared[number].needs
        else "not measurable here"
        for number, outcome in expected.items()
    }
