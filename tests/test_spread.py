"""What each of several workers got, worked out by hand, and by the law for one."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from test_victims import NOTHING, NULL_MS, VICTIM, Idle, answer_at_once

from lab_apps.instruments import victims
from lab_apps.instruments.spread import Share, by_worker, frame
from lab_apps.instruments.trial import Trial
from lab_apps.instruments.victims import Alone, Route, beside
from lab_apps.instruments.wire import Row, Sent

BLOCKER, OTHER = 0, 1  # the streams
START_NS = 5_000_000_000

# Stream, connection, intended instant and response in ms.
REQUESTS: list[tuple[int, int, float, float]] = [
    # Worker A is held from 10 to 20 and on to 30; who comes at 12 waits 8, at 18 waits 12.
    (BLOCKER, 1, 10, 10.5),
    (BLOCKER, 2, 15, 15.5),
    (OTHER, 1, 5, 0.5),
    (OTHER, 1, 12, 8.5),
    (OTHER, 1, 18, 0.7),  # measured otherwise than predicted
    (OTHER, 4, 40, 2.4),
    # Worker B is held from 11 to 21.
    (BLOCKER, 3, 11, 10.5),
    (OTHER, 2, 14, 2.6),
    (OTHER, 2, 16, 2.6),
    (OTHER, 2, 30, 2.5),  # exactly 2 ms more than the null arm's median is not delayed
    # Worker C is asked by no victim.
    (BLOCKER, 4, 12, 10.5),
    (BLOCKER, 4, 13, 20.5),
    (BLOCKER, 4, 14, 30.5),
    # Nobody knows whose these are.
    (OTHER, 3, 13, 9.0),
    (OTHER, 9, 13, 9.0),
    (BLOCKER, 9, 1, 9.0),
]
PEERS = {
    (BLOCKER, 1): b"A",
    (BLOCKER, 2): b"A",
    (BLOCKER, 3): b"B",
    (BLOCKER, 4): b"C",
    (OTHER, 1): b"A",
    (OTHER, 2): b"B",
    (OTHER, 3): b"",
    (OTHER, 4): b"A",
    (OTHER, 5): b"D",  # no request at all
}
NULL = Alone(NOTHING, np.array([0.5]), 0.5, 0.0)
SHARES = [
    Share(requests=6, rho=0.2, victims=4, delayed=0.25, predicted=0.5),
    Share(requests=4, rho=0.1, victims=3, delayed=2 / 3, predicted=2 / 3),
]


def made(requests: list[tuple[int, int, float, float]]) -> Trial:
    rows = []
    for stream, connection, at_ms, response_ms in requests:
        due_ns = START_NS + round(at_ms * 1e6)
        done_ns = due_ns + round(response_ms * 1e6)
        rows.append(Row(stream, connection, due_ns, due_ns, due_ns, done_ns, 200, 1, ""))
    sent = Sent(rows, START_NS, START_NS + 10**8, 0.1, 0.0, PEERS)
    return Trial.of(sent, ("blocker", "victim"))


def check_shares(by_worker: Callable[..., list[Share]]) -> None:
    """Whatever the order of the rows, which come in the order of their ends."""
    for order in range(5):
        requests = [REQUESTS[i] for i in np.random.default_rng(order).permutation(len(REQUESTS))]
        shares = by_worker(made(requests), NULL, hold_ms=10, seconds=0.1)
        assert len(shares) == 2
        for share, expected in zip(shares, SHARES, strict=True):
            assert dataclasses.astuple(share) == pytest.approx(dataclasses.astuple(expected))


def test_shares_by_hand() -> None:
    check_shares(by_worker)


def one_worker(trial: Trial, *args: Any, **options: Any) -> list[Share]:
    trial = dataclasses.replace(trial, peers=dict.fromkeys(trial.peers, b"A"))
    return by_worker(trial, *args, **options)


def unknown_too(trial: Trial, *args: Any, **options: Any) -> list[Share]:
    known = {key: peer or b"A" for key, peer in trial.peers.items()}
    return by_worker(dataclasses.replace(trial, peers=known), *args, **options)


def stale(trial: Trial, *args: Any, **options: Any) -> list[Share]:
    rows = trial.rows.copy()
    rows["intended_ns"] -= 3_000_000
    return by_worker(dataclasses.replace(trial, rows=rows), *args, **options)


@pytest.mark.parametrize(
    "broken",
    [
        one_worker,
        unknown_too,
        stale,
        lambda trial, null, **options: by_worker(trial, null, **options)[::-1],
        lambda trial, null, hold_ms, seconds: by_worker(
            trial, null, hold_ms=hold_ms / 3, seconds=seconds
        ),
    ],
    ids=["one worker", "unknown ones too", "earlier instants", "idlest first", "shorter hold"],
)
def test_check_sees_wrong_shares(broken: Callable[..., list[Share]]) -> None:
    with pytest.raises(AssertionError):
        check_shares(broken)


def test_nobody_known() -> None:
    trial = dataclasses.replace(made(REQUESTS), peers={})
    assert by_worker(trial, NULL, hold_ms=10, seconds=0.1) == []


@pytest.mark.parametrize(("rate", "hold_ms", "own_ms"), [(6, 50, 0.1), (30, 10, 0), (30, 10, 0.2)])
def test_one_worker_is_what_beside_predicts(
    rate: float, hold_ms: float, own_ms: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(victims, "send", answer_at_once)
    null = Alone(NOTHING, NULL_MS, 0.25, own_ms)
    how = {"hold_ms": hold_ms, "seconds": 20.0}
    rates = {"blocker_rate": rate, "victim_rate": 500.0}
    made = beside(Idle(), null, Route("/block", b""), VICTIM, seed=4, **how, **rates)
    trial = dataclasses.replace(made.trial, peers={(0, 1): b"one", (1, 1): b"one"})
    (share,) = by_worker(trial, null, **how)
    assert 0 < share.predicted < 1
    assert share.predicted == made.predicted_delayed
    assert share.delayed == made.delayed == 0
    assert share.rho == pytest.approx(made.rho)
    assert (share.requests, share.victims) == (len(trial.rows), len(made.victim_ms))
    assert math.isclose(share.rho, made.blockers * hold_ms / 20e3)


def test_frame() -> None:
    table = frame({1: SHARES[:1], 2: SHARES})
    assert list(table.index) == [1, 2, 2]
    assert list(table.columns) == ["requests", "ρ", "victims", "delayed", "predicted"]
    assert table["requests"].tolist() == [6, 6, 4]
    assert table["ρ"].tolist() == [0.2, 0.2, 0.1]
    assert table["delayed"].tolist() == ["25%", "25%", "67%"]
    assert table["predicted"].tolist() == ["50%", "50%", "67%"]
