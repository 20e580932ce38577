"""The client's check of itself: each fault is named, and a run without one is not blamed."""

from __future__ import annotations

import dataclasses
import itertools
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lab_apps.instruments import load, sender, sources, wire
from lab_apps.instruments.calibration import OK, create_app
from lab_apps.instruments.rounds import Rounds
from lab_apps.instruments.schedule import closed, paced, poisson
from lab_apps.instruments.selfcheck import faults, little
from lab_apps.instruments.server import serve
from lab_apps.instruments.sources import Source
from lab_apps.instruments.trial import ROW, Trial
from lab_apps.instruments.wire import Stream


def made(
    *,
    requests: int = 200,
    lag_ms: float = 0.1,
    response_ms: float = 5.0,
    seconds: float = 2.5,
    cpu_s: float = 0.1,
    counted: float = 1.0,
) -> Trial:
    """A trial of requests every 10 ms; the sender counted `counted` times what the rows have."""
    rows = np.zeros(requests, dtype=ROW)
    rows["intended_ns"] = 10**9 + np.arange(requests) * 10_000_000
    rows["sent_ns"] = rows["intended_ns"] + round(lag_ms * 1e6)
    rows["done_ns"] = rows["intended_ns"] + round(response_ms * 1e6)
    in_flight_s = counted * requests * response_ms / 1e3
    return Trial(
        rows, ("one",), 10**9, seconds, cpu_s, 0.0, scheduled=(requests,), in_flight_s=in_flight_s
    )


def without_a_row() -> Trial:
    return dataclasses.replace(whole := made(), rows=whole.rows[1:])


def with_one_unsent() -> Trial:
    trial = made()
    trial.rows["sent_ns"][7] = 0
    return trial


@pytest.mark.parametrize(
    ("trial", "fault"),
    [
        (made(), ""),
        (made(lag_ms=2.0), ""),
        (made(lag_ms=2.1), "send lag over 2.0 ms in 200 of 200, p99 2.1"),
        (made(lag_ms=9.9, response_ms=100), ""),
        (made(lag_ms=10.1, response_ms=100), "send lag over 10.0 ms in 200 of 200, p99 10.1"),
        (made(cpu_s=1.25), ""),
        (made(cpu_s=1.3), "the client took 52% of a core"),
        (made(counted=1.04), ""),
        (made(counted=1.06), "Little's law"),
        (made(counted=0.94), "Little's law"),
        (made(counted=2, seconds=1.9), ""),  # too short to say
        (with_one_unsent(), "1 requests were never sent"),
        (without_a_row(), "200 requests of 'one' were due and 199 are on record"),
        (made(requests=0), ""),
    ],
)
def test_faults(trial: Trial, fault: str) -> None:
    found = faults(trial)
    assert bool(found) == bool(fault)
    assert fault in " ".join(found)


@pytest.mark.parametrize(
    ("requests", "late", "fault"),
    [
        *((20, 1, False), (20, 2, True), (80, 2, False), (80, 3, True)),
        *((200, 5, False), (200, 6, True), (1000, 9, False), (1000, 15, True)),
        *((5000, 49, False), (5000, 51, True)),
    ],
)
def test_how_many_may_be_late(requests: int, late: int, fault: bool) -> None:
    """So many as 1% explains where a p99 has no ten values beyond it; else by the p99."""
    trial = made(requests=requests)
    trial.rows["sent_ns"][:late] += 4_000_000
    assert bool(faults(trial)) == fault


def test_all_faults_are_named() -> None:
    trial = made(lag_ms=3, cpu_s=2, counted=3)
    assert len(faults(trial)) == 3


def sent(schedule: Any = None, path: str = "/null") -> Trial:
    """One stream, sent from this process, where the sender can be broken."""
    stream = Stream("one", path, schedule or poisson(200, 2.1, seed=1), OK)
    with serve(create_app, where="thread") as server:
        answer = sender.send(server.url, (stream,), 5.0, 0)
    return Trial.of(answer, ("one",))


@pytest.mark.parametrize("seconds", [2.1, 2.5])
def test_a_real_run_obeys_littles_law(seconds: float) -> None:
    trial = sent(poisson(100, seconds, seed=3), "/wait/20")
    counted, by_rows = little(trial)
    assert counted == pytest.approx(by_rows, rel=1e-3)
    assert 1.5 < counted < 4  # 100 a second for 20 ms each, by chance more or fewer
    assert "Little" not in " ".join(faults(trial))


@pytest.mark.parametrize("factor", [0.9, 1.2])
def test_rows_lost_or_doubled_break_littles_law(
    factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And are noticed by their number too."""
    whole = Source.record
    numbers = itertools.count()

    def record(self: Source, *args: Any) -> None:
        begun = len(self.rows)
        whole(self, *args)
        if self.timed and next(numbers) % 5 == 0:
            if factor > 1:
                self.rows.append(self.rows[-1])
            else:
                del self.rows[begun:]

    monkeypatch.setattr(Source, "record", record)
    trial = sent(path="/wait/5")
    found = " ".join(faults(trial))
    assert "were due and" in found
    assert "Little's law" in found


def test_lag_lasts_until_the_bytes_are_with_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """5 ms in the system call are 5 ms of lag."""
    whole = os.write

    def write(descriptor: int, data: Any) -> int:
        time.sleep(0.005)
        return whole(descriptor, data)

    monkeypatch.setattr(wire.os, "write", write)  # type: ignore[attr-defined]
    trial = sent(paced(20, 0.5))
    assert trial.send_lag_ms.min() >= 5
    assert "send lag" in " ".join(faults(trial))


def test_late_pacer_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = sources.OpenSource.fire

    def fire(self: sources.OpenSource, intended_ns: int) -> None:
        time.sleep(0.004)
        whole(self, intended_ns)

    monkeypatch.setattr(sources.OpenSource, "fire", fire)
    assert "send lag" in " ".join(faults(sent(paced(50, 0.5))))


def test_a_closed_loop_has_no_lag_to_speak_of() -> None:
    with serve(create_app) as server:
        trial = load.send(server.url, Stream("one", "/null", closed(2, requests=100), OK))
    assert trial.scheduled == (100,)
    assert "lag" not in " ".join(faults(trial))


def test_one_stream_of_several() -> None:
    """Its own requests count, the others' do not; the sender's count is of all of them."""
    two = [Stream(name, "/null", paced(100, 0.2), OK) for name in ("one", "other")]
    with serve(create_app) as server:
        trial = load.send(server.url, *two)
    assert trial.scheduled == (20, 20)
    one = trial.stream("other")
    assert one.scheduled == (0, 20)
    assert one.in_flight_s is None
    assert not [fault for fault in faults(one) if "due" in fault]


def test_time_decides_so_nothing_is_due() -> None:
    with serve(create_app) as server:
        trial = load.send(server.url, Stream("one", "/null", closed(2, seconds=0.1), OK))
    assert trial.scheduled == (None,)
    assert not [fault for fault in faults(trial) if "due" in fault]


Arm = Callable[[Any, int], Trial]


def test_rounds_reject_by_arm() -> None:
    """An arm whose client is late is named, the other one is not."""
    late: Arm = lambda *_: made(lag_ms=3)  # noqa: E731
    on_time: Arm = lambda *_: made()  # noqa: E731
    rounds = Rounds(lambda: serve(create_app), {"late": late, "on time": on_time})
    (pair,) = itertools.islice(rounds.pairs("late", "on time", lambda *_: (1, 1)), 1)
    assert pair.disturbed == ("send lag over 2.0 ms in 200 of 200, p99 3.0", "")
