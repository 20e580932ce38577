"""A start that takes a known time is measured as that, by itself and beside another."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import attempts, needs_proc, no_leftovers

from lab_apps.instruments import startup
from lab_apps.instruments.child import ChildError
from lab_apps.instruments.claims import Claim, judge

pytestmark = needs_proc
MADE = "import time, {more}\ntime.sleep({import_s})\ndef create():\n    time.sleep({make_s})\n"


@pytest.fixture
def apps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Modules that take 60 ms, 60 ms and 180 ms."""
    known = {"one": (0.06, 0.0), "same": (0.03, 0.03), "slow": (0.0, 0.18)}
    for name, (import_s, make_s) in known.items():
        source = MADE.format(more="fastapi", import_s=import_s, make_s=make_s)
        (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with no_leftovers():
        yield


def check_known_times() -> None:
    for name, known_ms in (("one", 60), ("same", 60), ("slow", 180)):
        took_ms, modules, disturbed = startup.start(f"{name}:create")
        assert (modules, disturbed) == (1, "")  # FastAPI was there before the clock ran
        assert known_ms <= took_ms < known_ms + 20


@pytest.mark.usefixtures("apps")
def test_known_times() -> None:
    attempts(check_known_times)


@pytest.mark.usefixtures("apps")
def test_arms_are_told_apart() -> None:
    pairs = [*itertools.islice(startup.pairs("slow:create", "one:create", seed=1), 4)]
    assert all(pair.a > 2 * pair.b for pair in pairs)


@pytest.mark.usefixtures("apps")
def test_packages_are_there_before_the_clock_runs_without_a_fork_too() -> None:
    command = [sys.executable, "-m", startup.__name__, "one:create"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.fullmatch(startup.ANSWER + "\n", said)
    assert found is not None
    assert found.group(2) == "1"


def check_equal() -> None:
    text = {"statement": "s", "metric": "m", "a": "one", "b": "same", "why_theta": "w"}
    claim = Claim("1.1", "equivalence", theta=1.25, **text)  # type: ignore[arg-type]
    assert judge(claim, startup.pairs("one:create", "same:create", seed=1)).outcome == "supported"
    unlike = judge(claim, startup.pairs("slow:create", "one:create", seed=1))
    assert unlike.outcome == "refuted"


@pytest.mark.usefixtures("apps")
def test_verdicts() -> None:
    attempts(check_equal)


@pytest.mark.usefixtures("apps")
def test_an_app_that_cannot_be_made() -> None:
    with pytest.raises(ChildError, match=r"ended with status 1: AttributeError: .*no_such"):
        startup.start("one:no_such")


@pytest.mark.parametrize(
    ("waited_ms", "expected"), [(19.9, ""), (20.1, "without a core for 20.1 of 100.0 ms")]
)
def test_a_start_without_a_core_is_disturbed(waited_ms: float, expected: str) -> None:
    assert startup.disturbance(100.0, waited_ms) == expected
