"""The command `lab`: one line and status 2 for a wrong call, and its help."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from checkouts import empty_notebooks

from lab_apps.cli import main


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return empty_notebooks(tmp_path)


UP = "http://127.0.0.1:9/"
WRONG_CALLS = {
    "unknown command": (["walk"], "'walk'"),
    "unknown option": (["run", "--fast"], "--fast"),
    "new line in an argument": (["run", "a\nb"], "a b"),
    "profile": (["run", "--profile", "quik"], "'quik'.*quick.*full"),
    "refresh in full": (["run", "--refresh", "--profile", "full"], "--refresh.*leave"),
    "notebook": (["run", "--only", "42"], "'42'.*00, 03, 05, index"),
    "no notebook named": (["run", "--only", "05,"], "''"),
    "practice": (["serve", "42"], "'42'.*00, 03, 05"),
    "port beyond": (["serve", "05", "--port", "65536"], "0 to 65535.*'65536'"),
    "port below": (["serve", "05", "--port", "-1"], "0 to 65535.*'-1'"),
    "port no number": (["serve", "05", "--port", "http"], "0 to 65535.*'http'"),
    "no URL": (["load", "--users", "1", "--seconds", "1"], "URL"),
    "neither": (["load", UP, "--seconds", "1"], "--users --rate"),
    "both": (["load", UP, "--users", "1", "--rate", "1", "--seconds", "1"], "--rate.*--users"),
    "no seconds": (["load", UP, "--users", "1"], "--seconds"),
    "no users": (["load", UP, "--users", "0", "--seconds", "1"], "--users.*1 to 1000.*'0'"),
    "negative users": (["load", UP, "--users", "-3", "--seconds", "1"], "--users.*'-3'"),
    "half a user": (["load", UP, "--users", "1.5", "--seconds", "1"], "whole.*'1.5'"),
    "word users": (["load", UP, "--users", "many", "--seconds", "1"], "'many'"),
    "too many users": (["load", UP, "--users", "1001", "--seconds", "1"], "1000.*'1001'"),
    "superscript users": (["load", UP, "--users", "²", "--seconds", "1"], "whole.*'²'"),
    "no rate": (["load", UP, "--rate", "0", "--seconds", "1"], "--rate.*'0'"),
    "negative rate": (["load", UP, "--rate", "-1", "--seconds", "1"], "--rate.*'-1'"),
    "nan": (["load", UP, "--rate", "nan", "--seconds", "1"], "--rate.*'nan'"),
    "inf": (["load", UP, "--rate", "inf", "--seconds", "1"], "--rate.*'inf'"),
    "too high a rate": (["load", UP, "--rate", "1e5", "--seconds", "1"], "20000.*'1e5'"),
    "zero seconds": (["load", UP, "--users", "1", "--seconds", "0"], "--seconds.*'0'"),
    "negative seconds": (["load", UP, "--users", "1", "--seconds", "-2"], "--seconds.*'-2'"),
    "endless": (["load", UP, "--users", "1", "--seconds", "inf"], "3600.*'inf'"),
    "no scheme": (["load", "127.0.0.1:8000/x", "--users", "1", "--seconds", "1"], "http://"),
    "host only": (["load", "localhost:8000", "--users", "1", "--seconds", "1"], "http://"),
    "https": (["load", "https://127.0.0.1/", "--users", "1", "--seconds", "1"], "http://.*TLS"),
    "empty": (["load", "", "--users", "1", "--seconds", "1"], "''.*write http://"),
    "elsewhere": (["load", "http://192.0.2.1/", "--users", "1", "--seconds", "1"], "192.0.2.1"),
    "name": (["load", "http://localhost.example/", "--rate", "1", "--seconds", "1"], "not this"),
    "garbage port": (["load", "http://127.0.0.1:80x/", "--rate", "1", "--seconds", "1"], "80x"),
    "high port": (["load", "http://127.0.0.1:99999/", "--rate", "1", "--seconds", "1"], "65535"),
    "brackets": (["load", "http://[::1/", "--rate", "1", "--seconds", "1"], "IPv6"),
    "blank": (["load", "http://127.0.0.1/a b", "--rate", "1", "--seconds", "1"], "blank"),
    "user": (["load", "http://me@127.0.0.1/", "--rate", "1", "--seconds", "1"], "user"),
    "no report": (["report"], "lab run"),
}


@pytest.mark.parametrize("name", WRONG_CALLS)
def test_wrong_call_is_one_line_and_status_2(
    name: str, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args, says = WRONG_CALLS[name]
    status = main(args, root=checkout)
    out, err = capsys.readouterr()
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert err.startswith("lab")
    assert re.search(says, err)


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "doctor" in capsys.readouterr().out
    assert main(["--version"]) == 0
    assert re.fullmatch(r"lab \d+\.\d+\.\d+\n", capsys.readouterr().out)
    assert main(["load", "--help"]) == 0
    assert "other than 200" in " ".join(capsys.readouterr().out.split())
    module = [sys.executable, "-m", "lab_apps", "--version"]
    assert subprocess.run(module, capture_output=True, text=True).stdout.startswith("lab ")
