"""The sender: every request is a row, every failure a row with its kind, and nothing hangs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from helpers import OK, Reply, at_once, fault_server, kinds, stream
from sender_faults import (
    COUNT,
    FAULTS,
    FAULTY,
    PATIENT_S,
    SCHEDULES,
    TIMEOUT_S,
    check_whole,
    in_process,
)

from lab_apps.instruments import sources
from lab_apps.instruments.claims import Claim, count_failed, exact
from lab_apps.instruments.load import send
from lab_apps.instruments.schedule import closed, paced
from lab_apps.instruments.server import listener
from lab_apps.instruments.wire import Connection


@pytest.mark.parametrize("model", SCHEDULES)
@pytest.mark.parametrize("fault", FAULTS)
def test_failure_is_a_row_with_its_kind(model: str, fault: str) -> None:
    reply, kind = FAULTS[fault]
    with fault_server(lambda number: reply if number in FAULTY else OK) as server:
        timeout_s = TIMEOUT_S if kind == "timeout" else PATIENT_S
        trial = send(server.url, stream(SCHEDULES[model]), timeout_s=timeout_s)
    check_whole(trial)
    assert kinds(trial) == {"": COUNT - len(FAULTY), kind: len(FAULTY)}
    assert trial.errors == {kind: len(FAULTY)}
    failed = trial.rows[trial.rows["error"] != ""]
    assert np.all(failed["sent_ns"] >= failed["intended_ns"])
    if kind == "timeout":
        assert set(failed["done_ns"] - failed["sent_ns"]) == {round(TIMEOUT_S * 1e9)}
    if kind == "status":
        assert set(failed["status"]) == {int(reply.pieces[0][9:12])}


@pytest.mark.parametrize("model", SCHEDULES)
def test_several_kinds_in_one_trial_are_counted_apart(model: str) -> None:
    """And each kind as often as the server made it happen."""
    plan = {number * 2: reply for number, (reply, _) in enumerate(FAULTS.values(), 1)}
    want = {"": COUNT - len(FAULTS)}
    for _, kind in FAULTS.values():
        want[kind] = want.get(kind, 0) + 1
    with fault_server(lambda number: plan.get(number, OK)) as server:
        trial = send(server.url, stream(SCHEDULES[model]), timeout_s=TIMEOUT_S)
    check_whole(trial)
    assert kinds(trial) == want


@pytest.mark.parametrize("model", SCHEDULES)
def test_no_server_is_refused(model: str) -> None:
    with listener() as sock:  # bound, so that nobody else takes the port, and not listening
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        trial = send(url, stream(SCHEDULES[model]), timeout_s=PATIENT_S)
    check_whole(trial)
    assert kinds(trial) == {"refused": COUNT}
    # Nothing was ever sent, so nothing has a response; but all are counted.
    assert len(trial.service_ms) == len(trial.response_ms) == len(trial.send_lag_ms) == 0
    assert trial.errors == {"refused": COUNT}


def test_refused_users_pause() -> None:
    """Two users for 0.3 s, 0.05 s apart: not thousands of rows."""
    with listener() as sock:
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        trial = send(url, stream(closed(2, seconds=0.3)))
    assert 2 <= len(trial.rows) <= 2 * 7
    assert trial.errors == {"refused": len(trial.rows)}


def test_server_that_dies_in_a_trial() -> None:
    with fault_server(lambda number: Reply((), "die") if number == 9 else OK) as server:
        trial = send(server.url, stream(closed(1, requests=COUNT)), timeout_s=PATIENT_S)
    check_whole(trial)
    assert [str(error) for error in trial.rows["error"]] == [""] * 8 + ["closed"] + ["refused"] * 15


def test_server_that_dies_under_an_open_load() -> None:
    with fault_server(lambda number: Reply((), "die") if number == 9 else OK) as server:
        trial = send(server.url, stream(paced(20, COUNT / 20)), timeout_s=PATIENT_S)
    check_whole(trial)
    errors = [str(row["error"]) for row in np.sort(trial.rows, order="intended_ns")]
    assert errors[:9] == [""] * 8 + ["closed"]
    assert set(errors[9:]) <= {"closed", "refused"}  # a dying server closes one after the other
    assert set(errors[-8:]) == {"refused"}


@pytest.mark.parametrize("model", SCHEDULES)
def test_connection_closed_as_soon_as_it_is_open(model: str) -> None:
    with fault_server(greet=False) as server:
        trial = send(server.url, stream(SCHEDULES[model]), timeout_s=PATIENT_S)
    check_whole(trial)
    assert kinds(trial) == {"closed": COUNT}


@pytest.mark.parametrize("model", SCHEDULES)
def test_connection_lost_between_its_opening_and_the_request(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server may close a connection after it is made and before its request is written."""
    whole = sources.Source.connect

    async def connect(self: sources.Source) -> Connection:
        connection = await whole(self)
        connection.connection_lost(None)
        return connection

    monkeypatch.setattr(sources.Source, "connect", connect)
    with fault_server() as server:
        trial = in_process(SCHEDULES[model], server.url)
    check_whole(trial)
    assert kinds(trial) == {"closed": COUNT}


def test_an_open_stream_beyond_its_connections_is_dropped_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sources, "MAX_CONNECTIONS", 7)
    monkeypatch.setattr(sources, "FIRST_CONNECTIONS", 3)
    with fault_server(lambda number: Reply(after_s=0.1 if number else 0)) as server:
        trial = in_process(at_once(COUNT), server.url, 5)
    check_whole(trial)
    assert kinds(trial) == {"": 7, "dropped": COUNT - 7}
    assert server.connected == 7
    assert len(trial.response_ms) == len(trial.service_ms) == 7


def test_failed_requests_support_no_verdict() -> None:
    claim = Claim("9.1", "exact", "A statement.", "a count", expected={"count": 3})
    with fault_server() as server:
        fine = send(server.url, stream(closed(1, requests=COUNT)))
    with fault_server(lambda number: OK if number != 3 else Reply((), "close")) as server:
        failed = send(server.url, stream(closed(1, requests=COUNT)))
    assert exact(claim, {"count": 3}, [fine]).outcome == "supported"
    assert exact(claim, {"count": 4}, [fine]).outcome == "refuted"
    for observed in ({"count": 3}, {"count": 4}):
        verdict = exact(claim, observed, [fine, failed])
        assert verdict.outcome == "inconclusive"
        assert verdict.observed == {"failed": {"closed": 1}}
        assert str(verdict) == "9.1 inconclusive (requests failed)"
    assert count_failed([fine, failed, failed]) == {"closed": 2}


# What the checks above are worth: each fails on a sender that is broken on purpose.


def test_check_sees_a_lost_row(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = sources.Source.record

    def forgetful(self: sources.Source, c: Connection, error: str, *rest: int) -> None:
        whole(self, c, error, *rest)
        if error == "closed":
            self.rows.pop()

    monkeypatch.setattr(sources.Source, "record", forgetful)
    with fault_server(lambda number: Reply((), "close") if number in FAULTY else OK) as server:
        trial = in_process(SCHEDULES["open"], server.url)
    with pytest.raises(AssertionError):
        check_whole(trial)


def test_check_sees_bodies_that_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    whole: Callable[..., None] = Connection.finish

    def trusting(self: Connection, error: str, *rest: int) -> None:
        whole(self, "" if error == "body" else error, *rest)

    monkeypatch.setattr(Connection, "finish", trusting)
    reply, kind = FAULTS["other body"]
    with fault_server(lambda number: reply if number in FAULTY else OK) as server:
        trial = in_process(SCHEDULES["closed"], server.url)
    assert kinds(trial) != {"": COUNT - len(FAULTY), kind: len(FAULTY)}
    with pytest.raises(AssertionError):
        check_whole(trial)
