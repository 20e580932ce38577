"""`lab serve`: its routes answer, with a database where they need one, and it ends quietly."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path

import pytest
from checkouts import empty_notebooks, start
from helpers import children, runs, wait_until

from lab_apps.cli import main


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return empty_notebooks(tmp_path)


def banner(lab: subprocess.Popen[str]) -> str:
    """What `lab serve` says until it serves."""
    assert lab.stdout is not None
    said = ""
    while "Ctrl-C" not in said:
        line = lab.stdout.readline()
        assert line
        said += line
    return said


def test_serve_prints_its_routes_answers_and_ends_quietly(checkout: Path) -> None:
    lab = start(checkout, "serve", "5", "--port", "0")
    said = banner(lab)
    assert re.search(r"GET +/terrible-ping +A blocking call", said)
    found = re.search(r"curl (http://127\.0\.0\.1:\d+/terrible-ping)\n", said)
    assert found
    with urllib.request.urlopen(f"{found[1]}?hold_ms=1", timeout=5) as answer:
        assert json.load(answer) == {"ping": "pong", "ran_on": "event loop"}
    lab.send_signal(signal.SIGINT)
    out, err = lab.communicate(timeout=10)
    assert (lab.returncode, out, err) == (0, "", "")


def test_serve_starts_a_database_for_what_reads_one(checkout: Path) -> None:
    """For the app's life, unless the variable names another; nothing of it is left."""
    lab = start(checkout, "serve", "3", "--port", "0")
    said = banner(lab)
    found = re.search(r"curl (http://127\.0\.0\.1:\d+)/", said)
    assert found
    body = json.dumps({"email": "ada@example.org"}).encode()
    asked = urllib.request.Request(f"{found[1]}/users", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=5) as answer:
        assert answer.status == 201
    started = children(lab.pid)
    assert started
    lab.send_signal(signal.SIGINT)
    out, err = lab.communicate(timeout=10)
    assert (lab.returncode, out, err) == (0, "", "")
    assert wait_until(lambda: not any(runs(pid) for pid in started), 5)


def test_what_serve_proposes_needs_no_token(checkout: Path) -> None:
    """The first route to GET of practice 1 does."""
    of_practice_3 = checkout / "notebooks/03_database_checks.ipynb"
    of_practice_3.with_name("01_project_structure.ipynb").write_bytes(of_practice_3.read_bytes())
    lab = start(checkout, "serve", "1", "--port", "0")
    found = re.search(r"curl (http://127\.0\.0\.1:\d+/.+)\n", banner(lab))
    assert found
    with urllib.request.urlopen(found[1], timeout=5) as answer:
        assert answer.status == 200
    lab.send_signal(signal.SIGINT)
    assert lab.communicate(timeout=10) == ("", "")


@pytest.mark.parametrize("how", ["listening", "bound"])
def test_serve_on_a_taken_port(
    how: str, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        if how == "listening":
            taken.listen()
        port = taken.getsockname()[1]
        assert main(["serve", "00", "--port", str(port)], root=checkout) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (f"lab serve: port {port} is taken: choose another, --port 0 takes a free one\n")
