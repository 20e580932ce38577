"""Known delays in, known delays out; and the load worker."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers import needs_proc, no_leftovers

from lab_apps.instruments import load, sender, wire
from lab_apps.instruments.calibration import OK, create_app
from lab_apps.instruments.schedule import closed
from lab_apps.instruments.server import Loop, bind, serve
from lab_apps.instruments.trial import Trial, percentile_ms, shown_ms
from lab_apps.instruments.wire import Connection, Stream

DELAYS_MS = (0, 5, 20, 50, 100)
Send = Callable[[str, Stream], Trial]


def in_process(url: str, stream: Stream) -> Trial:
    """The sender in this process, where it can be patched."""
    return Trial.of(sender.send(url, (stream,), 0.5, 0), (stream.name,))


def in_worker(url: str, stream: Stream) -> Trial:
    """The sender where it belongs. Nothing to warm up: the connection is open in any case."""
    return load.send(url, stream, warm_up=0)


def check_known_delays(
    send: Send, loop: Loop, sock: socket.socket | None = None, rounds: int = 7
) -> tuple[float, float]:
    """Slope 1.00 ± 0.02 over 0 to 100 ms for one user, floor under 2 ms; returns both.

    The delays take turns, so that what disturbs the machine for a while disturbs them all.
    """
    with serve(create_app, loop=loop, sock=sock) as server:
        measured: dict[int, list[float]] = {delay: [] for delay in DELAYS_MS}
        for _ in range(rounds):
            for delay in DELAYS_MS:
                requests = 1 if delay else 4
                stream = Stream("one", f"/sleep/{delay}", closed(1, requests=requests), OK)
                trial = send(server.url, stream)
                assert trial.errors == {}
                assert len(trial.rows) == requests
                measured[delay] += trial.response_ms.tolist()
        medians = [percentile_ms(np.array(times), 50) for times in measured.values()]
    assert medians[0] < 2
    slope = float(np.polyfit(DELAYS_MS, medians, 1)[0])
    assert abs(slope - 1) <= 0.02
    return slope, medians[0]


@pytest.mark.parametrize("loop", ["asyncio", "auto"])
def test_known_delays(loop: Loop) -> None:
    check_known_delays(in_worker, loop)


def test_known_delays_in_process() -> None:
    """The sender unbroken, as the tests below break it."""
    check_known_delays(in_process, "asyncio", rounds=3)


def test_check_sees_a_listener_without_its_protocol() -> None:
    """40 ms of Nagle and delayed acknowledgement, on an asyncio loop."""
    with pytest.raises(AssertionError):
        check_known_delays(in_worker, "asyncio", bind(socket.socket()), rounds=1)


@pytest.mark.parametrize("factor", [0.95, 1.05])
def test_check_sees_a_clock_5_percent_wrong(factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    origin = time.perf_counter_ns()
    monkeypatch.setattr(
        wire, "now_ns", lambda: origin + round((time.perf_counter_ns() - origin) * factor)
    )
    with pytest.raises(AssertionError):
        check_known_delays(in_process, "asyncio", rounds=2)


def drop_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every twentieth byte of the bodies is lost."""
    seen = 0

    def on_body(self: Connection, data: bytes) -> None:
        nonlocal seen
        kept = bytes(byte for number, byte in enumerate(data, seen) if number % 20)
        seen += len(data)
        self.body.append(kept)

    monkeypatch.setattr(Connection, "on_body", on_body)


def end_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer counts as whole 5% before it is there."""
    whole = Connection.finish

    def finish(self: Connection, *args: Any) -> None:
        now = time.perf_counter_ns()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(wire, "now_ns", lambda: round(now - (now - self.sent_ns) * 0.05))
            whole(self, *args)

    monkeypatch.setattr(Connection, "finish", finish)


def end_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer counts as whole when 5% more time has passed."""
    whole = Connection.data_received

    def data_received(self: Connection, data: bytes) -> None:
        time.sleep((time.perf_counter_ns() - self.sent_ns) * 0.05 / 1e9)
        whole(self, data)

    monkeypatch.setattr(Connection, "data_received", data_received)


@pytest.mark.parametrize("break_it", [drop_bytes, end_early, end_late])
def test_check_sees_a_parser_5_percent_wrong(
    break_it: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    break_it(monkeypatch)
    with pytest.raises(AssertionError):
        check_known_delays(in_process, "asyncio", rounds=2)


# The worker.


def test_worker_is_another_process_and_stays() -> None:
    with serve(create_app) as server:
        one = Stream("one", "/null", closed(1, requests=1), OK)
        load.send(server.url, one)
        pid = load.worker_pid()
        assert pid not in (None, os.getpid())
        load.send(server.url, one)
        assert load.worker_pid() == pid


@needs_proc
def test_trials_leave_nothing() -> None:
    with serve(create_app) as server:
        one = Stream("one", "/null", closed(8, requests=50), OK)
        load.send(server.url, one)
        with no_leftovers():
            for _ in range(5):
                assert load.send(server.url, one).errors == {}


def test_clock_of_the_worker_is_ours() -> None:
    """Rows can be laid over what the server saw: `perf_counter` is one clock for all processes."""
    with serve(create_app) as server:
        before = time.perf_counter_ns()
        trial = load.send(server.url, Stream("one", "/null", closed(1, requests=5), OK))
        after = time.perf_counter_ns()
    assert before < trial.start_ns < after
    for moment in ("intended_ns", "sent_ns", "first_byte_ns", "done_ns"):
        assert np.all((trial.rows[moment] > before) & (trial.rows[moment] < after))


def test_client_tells_what_it_cost() -> None:
    with serve(create_app) as server:
        trial = load.send(server.url, Stream("one", "/null", closed(4, requests=400), OK))
    assert 0 < trial.client_cpu_s < trial.seconds
    assert 0 <= trial.client_wait_s < trial.seconds


# What a trial says of its rows.


def made(rows: list[tuple[Any, ...]]) -> Trial:
    sent = wire.Sent([wire.Row(*row) for row in rows], 1_000_000, 9_000_000, 0.1, 0.0)
    return Trial.of(sent, ("one", "other"))


ROWS: list[tuple[Any, ...]] = [
    (0, 1, 1_000_000, 1_500_000, 2_000_000, 3_000_000, 200, 11, ""),
    (1, 2, 1_000_000, 2_000_000, 0, 6_000_000, 0, 0, "timeout"),
    (0, 0, 2_000_000, 0, 0, 2_500_000, 0, 0, "refused"),
]


def test_trial() -> None:
    trial = made(ROWS)
    assert trial.response_ms.tolist() == [2, 5]  # a timeout counts in full, a refusal has none
    assert trial.service_ms.tolist() == [1.5, 4]
    assert trial.send_lag_ms.tolist() == [0.5, 1]
    assert trial.errors == {"timeout": 1, "refused": 1}
    assert trial.makespan_ms == 5
    assert trial.rps == 200
    assert trial.seconds == 0.008
    assert trial.at_s("done").tolist() == [0.002, 0.005, 0.0015]
    assert trial.stream("other").errors == {"timeout": 1}
    assert trial.trial is trial


def test_frame() -> None:
    frame = made(ROWS).frame()
    assert frame["stream"].tolist() == ["one", "other", "one"]
    assert frame["error"].tolist() == ["", "timeout", "refused"]
    assert frame["done_ms"].tolist() == [2, 5, 1.5]
    assert np.isnan(frame["sent_ms"][2])
    assert np.isnan(frame["first_byte_ms"][1])


@pytest.mark.parametrize(
    ("q", "enough"), [(50, 20), (90, 100), (95, 200), (99, 1000), (99.9, 10_000)]
)
def test_a_percentile_is_shown_with_ten_values_beyond_it(q: float, enough: int) -> None:
    values = np.arange(float(enough))
    assert shown_ms(values, q) == percentile_ms(values, q)
    assert np.isnan(shown_ms(values[1:], q))


def test_trial_of_nothing() -> None:
    trial = made([])
    assert trial.errors == {}
    assert len(trial.response_ms) == len(trial.frame()) == 0
    assert np.isnan(percentile_ms(trial.response_ms, 50))
    assert trial.rps == 0
    assert trial.makespan_ms == 0
