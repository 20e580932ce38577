"""`lab load`: its table and its JSON, what it refuses, and no process left behind."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from checkouts import start
from helpers import Reply, children, fault_server, needs_proc, response, runs, wait_until

from lab_apps.cli import main
from lab_apps.instruments import selfcheck
from lab_apps.instruments.server import listener, serve

APP = "lab_apps.instruments.calibration:create_app"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serve(APP) as server:
        yield server.url


def free_port() -> int:
    with listener() as sock:
        port: int = sock.getsockname()[1]
        return port


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
