"""`lab doctor`: each check is fine or says what to do."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkouts import empty_notebooks

from lab_apps import doctor
from lab_apps.cli import main
from lab_apps.instruments import claims, machine, postgres


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return empty_notebooks(tmp_path)


def test_serve_without_a_database_says_what_to_install(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LAB_DATABASE_URL", "")
    monkeypatch.setattr(postgres, "installed", lambda: None)
    assert main(["serve", "3", "--port", "0"], root=checkout) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "make setup" in err
    assert "FAIL no Postgres" in findings(doctor._database())


def test_doctor_names_a_database_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = postgres.Database("postgresql:///x", "17.1", embedded=False, started_s=0.1, prefix="lab")
    monkeypatch.setattr(postgres, "database", lambda: ours)
    assert findings(doctor._database()) == "OK the Postgres 17.1 of LAB_DATABASE_URL answers"


def test_doctor_says_ok_or_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["doctor"])
    out, err = capsys.readouterr()
    states = [line[:5].strip() for line in out.splitlines()]
    assert err == ""
    assert set(states) <= {"OK", "FAIL", "--"}
    assert status == int("FAIL" in states)  # a busy machine may miss the 2 ms
    for text in ("Python 3.", "fastapi 0.", "uvloop can", "127.0.0.1", "kernel", "wrk", "cores"):
        assert text in out
    assert "OK   an embedded Postgres 1" in out or "OK   the Postgres" in out


def findings(found: Iterator[doctor.Finding]) -> str:
    return "\n".join(f"{state} {text}" for state, text in found)


def test_doctor_finds_another_version_than_locked(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text("fastapi==0.1.0 \\\n    --hash=sha256:00\nJupyter-Client==1.0 ; x\n")
    found = findings(doctor._packages(lock))
    assert re.search(r"FAIL fastapi [\d.]+, but requirements.lock has 0.1.0: make setup", found)
    assert "FAIL jupyter_client" in found
    assert re.search(r"OK httpx [\d.]+, not pinned here", found)
    assert "FAIL" not in findings(doctor._packages(tmp_path / "no lock"))


def test_doctor_finds_what_else_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    assert "FAIL results folder" in findings(doctor._folders(tmp_path / "file" / "runs"))
    monkeypatch.setattr(machine, "usable_cores", lambda: 1)
    assert "FAIL 1 core" in findings(doctor._cores())
    monkeypatch.setattr(machine, "PROC", tmp_path)
    timing = [claim.id for claim in claims.load().values() if claim.kind != "exact"]
    assert f"-- {os.uname().sysname}" in findings(doctor._timing())
    assert f"claims {', '.join(timing)} will read: not measurable here" in findings(
        doctor._timing()
    )
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "-- no wrk" in findings(doctor._wrk())


def test_a_check_of_the_doctor_that_raises_is_a_fail(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> Iterator[doctor.Finding]:
        raise OSError("no\nsockets")
        yield

    for check in ("_server", "_kernel"):
        monkeypatch.setattr(doctor, check, broken)
    assert main(["doctor"], root=tmp_path) == 1
    assert "FAIL server: OSError: no sockets; see" in capsys.readouterr().out
