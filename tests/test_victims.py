"""A bystander beside blockers: what is predicted for its requests, and that it comes true."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from helpers import attempts
from test_queueing import step_by_step

from lab_apps.instruments import victims, wire
from lab_apps.instruments.queueing import Array
from lab_apps.instruments.schedule import Open, poisson
from lab_apps.instruments.server import Server, serve
from lab_apps.instruments.trial import Trial
from lab_apps.instruments.victims import Alone, Beside, Route, alone, beside, frame, takeoff
from lab_apps.instruments.wire import Stream

ON_LOOP = b'{"ping":"pong","ran_on":"event loop"}'
IN_THREAD = b'{"ping":"pong","ran_on":"worker thread"}'
VICTIM = Route("/victim", b'{"victim":"served","ran_on":"event loop"}')
SPECIMEN = "lab_apps.practices.async_routes:app"


class Idle(Server):
    """A server that nobody asks."""

    url = "http://127.0.0.1:1"

    def loop_cpu_s(self) -> None:
        return None


def answer_at_once(_url: str, *streams: Stream) -> Trial:
    """Instead of `load.send`: every request takes 0.25 ms, answered in an order of its own."""
    start_ns = 1_000_000_000
    rows = []
    for index, stream in enumerate(streams):
        assert isinstance(stream.schedule, Open)
        for at_s in stream.schedule.at_s:
            due = start_ns + round(at_s * 1e9)
            rows.append(wire.Row(index, 1, due, due, due + 1, due + 250_000, 200, 1, ""))
    np.random.default_rng(1).shuffle(rows)
    sent = wire.Sent(rows, start_ns, start_ns + 10**9, 0.1, 0.0)
    return Trial.of(sent, tuple(stream.name for stream in streams))


NOTHING = Trial.of(wire.Sent([], 0, 0, 0, 0), ("victim",))
NULL_MS = np.array([0.2, 0.25, 0.4])


def predicted(own_ms: float, rate: float, hold_ms: float) -> Beside:
    null = Alone(NOTHING, NULL_MS, 0.25, own_ms)
    return beside(
        Idle(),
        null,
        Route("/block", b""),
        VICTIM,
        hold_ms=hold_ms,
        blocker_rate=rate,
        victim_rate=2000,
        seconds=20,
        seed=4,
    )


@pytest.mark.parametrize(("rate", "hold_ms"), [(0.5, 50), (6, 50), (30, 10), (12, 50)])
def test_prediction_is_that_of_a_queue_for_these_very_instants(
    rate: float, hold_ms: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(victims, "send", answer_at_once)
    own_ms = 0.1
    made = predicted(own_ms, rate, hold_ms)
    blockers = poisson(rate, 20, seed=8).at_s * 1e3
    asked = poisson(2000, 20, seed=9).at_s * 1e3
    at: Array = np.concatenate([blockers, asked])
    service = np.concatenate(
        [np.full(len(blockers), hold_ms + own_ms), np.full(len(asked), own_ms)]
    )
    order = np.argsort(at, kind="stable")
    waited = np.empty_like(at)
    waited[order] = step_by_step(at[order], service[order])
    np.testing.assert_allclose(made.wait_ms, waited[len(blockers) :], atol=1e-6)
    # To each a response of the null arm is added, drawn at random.
    added = made.predicted_ms - made.wait_ms
    assert set(added.round(6)) == set(NULL_MS)
    for value in NULL_MS:
        assert np.mean(np.isclose(added, value)) == pytest.approx(1 / 3, abs=0.02)
    assert abs(np.corrcoef(added, made.wait_ms)[0, 1]) < 0.03
    assert made.predicted_delayed == np.mean(made.predicted_ms > 2.25)
    assert made.blockers == len(blockers)
    assert made.rho == pytest.approx(len(blockers) * hold_ms / 20e3)
    np.testing.assert_allclose(made.victim_ms, 0.25)
    assert made.delayed == 0
    assert len(made.victim_ms) == len(made.predicted_ms) == len(asked)


@pytest.mark.parametrize("rate", [0.4, 4, 12])
def test_predicted_share_is_rho(rate: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Less who would wait under 2 ms: of a hold of 50 ms the last 2 don't count, so 0.96 ρ …

    … and more where holds queue up, as they run on into one another.
    """
    monkeypatch.setattr(victims, "send", answer_at_once)
    made = predicted(0, rate, 50)
    assert 0.93 * made.rho <= made.predicted_delayed <= made.rho * 1.02


def test_prediction_and_measurement_are_of_the_same_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rows come in the order of their ends; both series are in the order of arrival."""

    def as_predicted(url: str, *streams: Stream) -> Trial:
        trial = answer_at_once(url, *streams)
        done = trial.rows["intended_ns"] + trial.rows["intended_ns"] % 977_777
        trial.rows["done_ns"] = done
        return trial

    monkeypatch.setattr(victims, "send", as_predicted)
    made = predicted(0, 4, 50)
    due_ns = 1_000_000_000 + np.round(poisson(2000, 20, seed=9).at_s * 1e9).astype(np.int64)
    np.testing.assert_allclose(made.victim_ms, due_ns % 977_777 / 1e6)


def test_own_cost_is_what_more_requests_cost_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """0.1 ms each and 7 ms for every trial, which is no request's own."""
    used_s = 0.0

    def send(url: str, *streams: Stream) -> Trial:
        nonlocal used_s
        trial = answer_at_once(url, *streams)
        used_s += 0.007 + 0.0001 * len(trial.rows)
        return trial

    class Busy(Idle):
        def loop_cpu_s(self) -> float:  # type: ignore[override]
            return used_s

    monkeypatch.setattr(victims, "send", send)
    null = alone(Busy(), VICTIM, rate=300, seconds=2, seed=1)
    assert null.own_ms == pytest.approx(0.1)
    assert null.floor_ms == 0.25
    assert set(null.response_ms) == {0.25}
    # Where the platform can't tell: the whole of the floor.
    assert alone(Idle(), VICTIM, rate=300, seconds=2, seed=1).own_ms == 0.25


def test_no_request_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Poisson stream may be empty."""
    monkeypatch.setattr(victims, "send", answer_at_once)
    made = predicted(0, 1e-6, 50)
    assert (made.blockers, made.rho) == (0, 0)
    assert not made.wait_ms.any()


def point(rho: float, delayed: float) -> Beside:
    times = np.where(np.arange(1000) < round(delayed * 1000), 10.0, 0.5)
    return Beside(NOTHING, 7, rho, times, times - 0.5, times, 0.5)


def test_delayed_shares() -> None:
    one = point(0.3, 0.25)
    assert one.delayed == one.predicted_delayed == 0.25
    table = frame([one, point(0.5, 0.4)])
    assert list(table.index) == [0.3, 0.5]
    assert list(table["delayed"]) == ["25.0%", "40.0%"]
    assert list(table["calls"]) == [7, 7]
    assert list(table["p95 ms"]) == ["10.0", "10.0"]
    few = dataclasses.replace(one, victim_ms=one.victim_ms[:300])
    assert list(frame([few])["p99 ms"]) == ["–"]


def test_takeoff() -> None:
    points = [point(rho, rho) for rho in (0.2, 0.005, 0.04, 0.012, 0.009, 0.06)]
    assert takeoff(points, 99) == (0.009, 0.012)
    assert takeoff(points, 95) == (0.04, 0.06)
    assert takeoff(points, 50) == (0.2, math.inf)
    assert takeoff(points[:1], 99) == (0, 0.2)
    noisy = [point(0.01, 0.02), point(0.02, 0.005), point(0.03, 0.04)]
    assert takeoff(noisy, 99) == (0.02, 0.03)  # from here on always
    busy = [dataclasses.replace(made, null_delayed=0.004) for made in points]
    assert takeoff(busy, 99) == (
        0.012,
        0.04,
    )  # what the null arm has too is not the blockers' doing


HOLD_MS, RATE = 10, 30.0


def check_comes_true(blocker: Route, count: int = 4) -> None:
    """p90, p95, p99 and the share delayed are as predicted: within a factor of 1.5, and 0.1.

    Pooled over `count` runs on one server, so that no single burst of the machine decides.
    """
    runs = []
    with serve(SPECIMEN) as server:
        null = alone(server, VICTIM, rate=300, seconds=0.5, seed=1)
        assert null.trial.errors == {}
        for seed in range(count):
            runs.append(
                beside(
                    server, null, blocker, VICTIM, hold_ms=HOLD_MS, blocker_rate=RATE,
                    victim_rate=300, seconds=0.5, seed=seed,
                )
            )  # fmt: skip
            assert runs[-1].trial.errors == {}
    measured = np.concatenate([run.victim_ms for run in runs])
    expected = np.concatenate([run.predicted_ms for run in runs])
    for q in (90, 95, 99):
        ratio = np.percentile(measured, q) / np.percentile(expected, q)
        assert 1 / 1.5 < ratio < 1.5, q
    assert abs(np.mean([run.delayed - run.predicted_delayed for run in runs])) < 0.1


def test_prediction_comes_true() -> None:
    attempts(check_comes_true, Route(f"/terrible-ping?hold_ms={HOLD_MS}", ON_LOOP))


@pytest.mark.parametrize(
    "blocker",
    [
        Route(f"/good-ping?hold_ms={HOLD_MS}", IN_THREAD),
        Route(f"/terrible-ping?hold_ms={2 * HOLD_MS}", ON_LOOP),
    ],
    ids=["in def", "twice as long"],
)
def test_check_sees_a_blocker_that_does_not_hold_the_loop(blocker: Route) -> None:
    with pytest.raises(AssertionError):
        attempts(check_comes_true, blocker, 1)
