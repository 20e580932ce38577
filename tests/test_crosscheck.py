"""The lab's client against an independent one. Takes a minute: `make test-long`."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from lab_apps.instruments import crosscheck
from lab_apps.instruments.crosscheck import NULL_PATH, WAIT_PATH, Reading
from lab_apps.instruments.server import serve

APP = "lab_apps.instruments.calibration:create_app"
MAX_CPU_MS = 0.06


def differences(theirs: Reading, ours: Reading) -> list[str]:
    """Where the lab is further from wrk than 3% in p50 and 5% in rate."""
    found = []
    if abs(ours.p50_ms / theirs.p50_ms - 1) > 0.03:
        found.append(f"p50 {ours.p50_ms:.2f} ms, wrk {theirs.p50_ms:.2f} ms")
    if abs(ours.rps / theirs.rps - 1) > 0.05:
        found.append(f"{ours.rps:.0f}/s, wrk {theirs.rps:.0f}/s")
    return found


@pytest.mark.long
@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_the_lab_is_as_true_as_wrk() -> None:
    with serve(APP, where="process") as server:
        theirs, ours = crosscheck.alternate(server.url, WAIT_PATH, rounds=5, seconds=3)
    assert theirs is not None
    print(f"wrk {theirs}; lab {ours}")
    assert differences(theirs, ours) == []


@pytest.mark.long
def test_a_request_costs_the_client_little() -> None:
    with serve(APP, where="process") as server:
        theirs, ours = crosscheck.alternate(server.url, NULL_PATH, rounds=5, seconds=2)
    print(f"wrk {theirs}; lab {ours}")
    assert ours.cpu_ms <= MAX_CPU_MS


@pytest.mark.long
def test_a_client_that_is_wrong_is_noticed() -> None:
    """httpx with a shared pool, on the same route and with as many users."""
    with serve(APP, where="process") as server:
        ours = crosscheck.lab(server.url, WAIT_PATH, 2)
        theirs = crosscheck.httpx_raised(server.url, WAIT_PATH, 2)
    assert len(differences(ours, theirs)) == 2


def test_readings_of_wrk_are_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "     50%  {}\n     99%  3.00ms\nRequests/sec:   1197.25\n"

    class Done:
        def __init__(self, p50: str) -> None:
            self.stdout = said.format(p50)

    for p50, p50_ms in (("51.62ms", 51.62), ("930.00us", 0.93), ("1.20s", 1200.0)):
        monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/wrk")
        monkeypatch.setattr(subprocess, "run", lambda *_, p50=p50, **__: Done(p50))
        reading = crosscheck.wrk("http://127.0.0.1:1", NULL_PATH, 2)
        assert reading is not None
        assert reading.p50_ms == pytest.approx(p50_ms)
        assert reading.rps == 1197.25
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: Done("nonsense"))
    with pytest.raises(ValueError, match="makes no sense"):
        crosscheck.wrk("http://127.0.0.1:1", NULL_PATH, 2)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert crosscheck.wrk("http://127.0.0.1:1", NULL_PATH, 2) is None
