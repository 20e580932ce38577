"""A frozen server: the open loop sees what the formula says, the closed loop does not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lab_apps.instruments import sender, wire
from lab_apps.instruments.calibration import OK, bare
from lab_apps.instruments.freeze import Frozen, deviations, freeze, picture, response_s
from lab_apps.instruments.queueing import victim_waits
from lab_apps.instruments.server import serve
from lab_apps.instruments.sources import OpenSource
from lab_apps.instruments.trial import Trial
from lab_apps.instruments.victims import Route
from lab_apps.instruments.wire import Connection, Stream

SECONDS, FREEZE_S = 4.0, 0.8
QUANTILES = (0.9, 0.95, 0.99)


def frozen(rate: float, path: str = "/null") -> Frozen:
    freezer = Route(f"/sleep/{1e3 * FREEZE_S:g}", OK)
    with serve(bare) as server:
        return freeze(
            server, Route(path, OK), freezer, rate=rate, seconds=SECONDS, freeze_s=FREEZE_S
        )


def check(run: Frozen) -> None:
    """p90, p95 and p99 within 5% or 20 ms of the formula, whichever is more."""
    assert run.open.errors == {}
    assert run.closed.errors == {}
    assert max(deviations(run).values()) <= 1


@pytest.fixture(scope="module", params=[75, 150])
def run(request: pytest.FixtureRequest) -> Frozen:
    return frozen(request.param)


def test_open_loop_is_as_the_formula_says(run: Frozen) -> None:
    check(run)


def test_a_load_that_takes_its_share_of_the_time() -> None:
    """Requests that hold the loop for 2 ms, 150 a second; the formula without ρ is seen to fail."""
    run = frozen(150, "/sleep/2")
    assert 0.25 < run.rho < 0.45
    check(run)
    with pytest.raises(AssertionError):
        check(dataclasses.replace(run, rho=0))


def test_closed_loop_leaves_it_out(run: Frozen) -> None:
    """Its p95 is a tenth of the truth or less, on the same server."""
    with pytest.raises(AssertionError):
        check(dataclasses.replace(run, open=run.closed))
    truth, told = (np.quantile(trial.response_ms, 0.95) for trial in (run.open, run.closed))
    assert told < truth / 10


def test_check_sees_a_clock_that_starts_at_the_sending(run: Frozen) -> None:
    """Of a client that waits for a free connection, say, and starts its clock then."""
    late = dataclasses.replace(run.open, rows=run.open.rows.copy())
    late.rows["intended_ns"] += (late.rows["done_ns"] - late.rows["intended_ns"]) // 2
    with pytest.raises(AssertionError):
        check(dataclasses.replace(run, open=late))


def on_one_connection(url: str, *streams: Stream) -> Trial:
    """The sender in this process, where it can be patched."""
    one = tuple(dataclasses.replace(stream, connections=1) for stream in streams)
    return Trial.of(sender.send(url, one, 10.0, 1), tuple(stream.name for stream in one))


def test_check_sees_a_pacer_that_waits_for_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that finds the connection busy is sent, and due, when it is free again."""
    fire, after = OpenSource.fire, OpenSource.after
    waiting: list[OpenSource] = []

    def patient(self: OpenSource, intended_ns: int) -> None:
        if self.idle or self.stream.name == "freezer":
            fire(self, intended_ns)
        else:
            waiting.append(self)

    def then(self: OpenSource, connection: Connection) -> None:
        after(self, connection)
        if waiting and self.idle:
            fire(waiting.pop(), wire.now_ns())

    monkeypatch.setattr(OpenSource, "fire", patient)
    monkeypatch.setattr(OpenSource, "after", then)
    monkeypatch.setattr("lab_apps.instruments.freeze.send", on_one_connection)
    with pytest.raises(AssertionError):
        check(frozen(75))


@pytest.mark.parametrize(
    ("q", "rho", "expected_s"),
    [(0.99, 0, 1.14), (0.9, 0, 0.6), (0.8, 0, 0), (0.5, 0, 0), (0.9, 0.5, 0.9), (1, 0.3, 1.2)],
)
def test_formula(q: float, rho: float, expected_s: float) -> None:
    assert response_s(q, freeze_s=1.2, seconds=6, rho=rho) == pytest.approx(expected_s)


@pytest.mark.parametrize("rho", [0.01, 0.3])
def test_formula_is_the_queue_behind_one_long_hold(rho: float) -> None:
    """Against Lindley's recursion for the same instants, which knows no formula."""
    rate, seconds, freeze_s = 1000, 6.0, 1.2
    at = np.arange(round(rate * seconds)) / rate
    waits = victim_waits(at, np.array([1.2]), freeze_s, rho / rate)
    for q in QUANTILES:
        expected = response_s(q, freeze_s=freeze_s, seconds=seconds, rho=rho)
        assert np.quantile(waits, q) == pytest.approx(expected, abs=0.01)


def test_picture(run: Frozen) -> None:
    fig = picture(run)
    assert [len(axes.get_lines()) for axes in fig.axes] == [1, 1, 3]
