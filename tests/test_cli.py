"""The command `lab`: one line and status 2 for a wrong call, and no process left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import Reply, children, fault_server, needs_proc, response, runs, wait_until

from lab_apps import doctor
from lab_apps.cli import main
from lab_apps.instruments import claims, machine, postgres, selfcheck
from lab_apps.instruments.server import listener, serve

APP = "lab_apps.instruments.calibration:create_app"
RUN_LAB = "import sys, pathlib; from lab_apps.cli import main; "
RUN_LAB += "sys.exit(main(sys.argv[2:], root=pathlib.Path(sys.argv[1])))"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serve(APP) as server:
        yield server.url


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "notebooks").mkdir()
    for name in ("00_instruments", "03_database_checks", "05_async_routes", "index"):
        notebook = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        (tmp_path / f"notebooks/{name}.ipynb").write_text(json.dumps(notebook))
    return tmp_path


def start(root: Path, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", RUN_LAB, str(root), *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def banner(lab: subprocess.Popen[str]) -> str:
    """What `lab serve` says until it serves."""
    assert lab.stdout is not None
    said = ""
    while "Ctrl-C" not in said:
        line = lab.stdout.readline()
        assert line
        said += line
    return said


def free_port() -> int:
    with listener() as sock:
        port: int = sock.getsockname()[1]
        return port


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


def test_no_server_is_one_line_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    at = f"http://127.0.0.1:{free_port()}"
    assert main(["load", f"{at}/x", "--users", "1", "--seconds", "1"]) == 2
    said = f"lab load: nothing answers at {at}: start it, for example with lab serve 05\n"
    assert capsys.readouterr() == ("", said)


def test_too_many_or_no_requests_are_refused(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["load", f"{url}/null", "--rate", "20000", "--seconds", "60"]) == 2
    assert main(["load", f"{url}/null", "--rate", "0.01", "--seconds", "0.01"]) == 2
    many, none = capsys.readouterr().err.splitlines()
    assert "1,200,000 requests" in many
    assert "no request was due" in none


def measured(capsys: pytest.CaptureFixture[str], *args: str) -> dict[str, Any]:
    assert main(["load", *args, "--json"]) == 0
    out, err = capsys.readouterr()
    assert (out.count("\n"), err) == (1, "")
    summary: dict[str, Any] = json.loads(out)
    return summary


def test_json_of_a_closed_loop(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    summary = measured(capsys, f"{url}/wait/20", "--users", "3", "--seconds", "0.6")
    assert set(summary) == {
        *("requests", "errors", "errors_by_kind", "achieved_rps"),
        *("response_ms", "service_ms", "send_lag_ms", "client_cpu_share", "client_faults"),
    }
    assert list(summary["response_ms"]) == ["p50", "p90", "p95", "p99", "max"]
    assert list(summary["service_ms"]) == ["p50", "p90", "p95", "p99", "max"]
    assert list(summary["send_lag_ms"]) == ["p50", "p99"]
    assert (summary["errors"], summary["errors_by_kind"]) == (0, {})
    assert 20 <= summary["response_ms"]["p50"] <= summary["response_ms"]["max"]
    assert summary["response_ms"]["p50"] < 40
    # Three users, each of whom waits for the answer: throughput = users / response (Little).
    mean_rps = 3 / (summary["response_ms"]["p50"] / 1e3)
    assert summary["achieved_rps"] == pytest.approx(mean_rps, rel=0.15)
    assert 0 < summary["client_cpu_share"] < 1
    # About 90 requests: enough for a median, not for what lies beyond a p90.
    assert summary["requests"] < 100
    assert [summary["response_ms"][name] for name in ("p90", "p95", "p99")] == [None] * 3


def test_json_of_an_open_loop(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    summary = measured(capsys, f"{url}/null?a=b#c", "--rate", "100", "--seconds", "0.6")
    assert 30 < summary["requests"] < 95
    assert summary["errors"] == 0
    assert summary["response_ms"]["p50"] >= summary["service_ms"]["p50"] > 0


def test_failed_requests_are_counted(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    args = [f"{url}/status/500", "--users", "1", "--seconds", "0.2"]
    summary = measured(capsys, *args)
    assert summary["errors"] == summary["requests"] > 0
    assert summary["errors_by_kind"] == {"status": summary["errors"]}
    assert summary["achieved_rps"] == 0

    assert main(["load", *args]) == 0
    out, err = capsys.readouterr()
    assert re.search(r"requests .*, [\d,]+ errors \([\d,]+ status\)", out)
    assert re.fullmatch(r"lab load: \d+ requests failed and are counted\n", err)


def test_a_value_that_never_came_is_null(capsys: pytest.CaptureFixture[str]) -> None:
    def reply(number: int) -> Reply:
        return Reply((response(),), "die" if number == 0 else "keep")  # dies with the warm-up

    with fault_server(reply) as server:
        args = [f"{server.url}/", "--rate", "50", "--seconds", "0.2"]
        assert main(["load", *args, "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["service_ms"]["p50"] is None
    assert summary["errors"] == summary["requests"] == sum(summary["errors_by_kind"].values())


def test_table_of_load(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["load", f"{url}/null", "--rate", "100", "--seconds", "0.3"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    first_words = [line.split()[0] for line in out.splitlines() if not line.startswith("caution")]
    assert first_words == [
        *("requests", "achieved", "response_ms", "service_ms", "send_lag_ms", "client")
    ]


def test_a_client_that_was_late_says_so(
    url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selfcheck, "LAG_MS", 0.0)
    monkeypatch.setattr(selfcheck, "LAG_SHARE", 0.0)
    summary = measured(capsys, f"{url}/null", "--rate", "100", "--seconds", "0.3")
    assert [fault[:8] for fault in summary["client_faults"]] == ["send lag"]
    assert main(["load", f"{url}/null", "--rate", "100", "--seconds", "0.3"]) == 0
    assert "caution      send lag over 0.0 ms" in capsys.readouterr().out


@needs_proc
def test_interrupting_load_leaves_no_process(url: str, tmp_path: Path) -> None:
    lab = start(tmp_path, "load", f"{url}/null", "--users", "2", "--seconds", "60")
    assert wait_until(lambda: bool(children(lab.pid)), 10)
    worker = children(lab.pid)
    assert not wait_until(lambda: lab.poll() is not None, 0.4)  # it is sending
    lab.send_signal(signal.SIGINT)
    out, err = lab.communicate(timeout=5)
    assert (lab.returncode, out, err) == (130, "", "lab load: interrupted\n")
    assert wait_until(lambda: not any(runs(pid) for pid in worker), 1)


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


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "doctor" in capsys.readouterr().out
    assert main(["--version"]) == 0
    assert re.fullmatch(r"lab \d+\.\d+\.\d+\n", capsys.readouterr().out)
    assert main(["load", "--help"]) == 0
    assert "other than 200" in " ".join(capsys.readouterr().out.split())
    module = [sys.executable, "-m", "lab_apps", "--version"]
    assert subprocess.run(module, capture_output=True, text=True).stdout.startswith("lab ")


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
