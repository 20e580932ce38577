"""The sender: every request is a row, every failure a row with its kind, and nothing hangs.

The fault servers stand on raw sockets and fail at chosen requests. Request 0 is the warm-up, so
the timed ones are 1, 2, ….
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import numpy as np
import pytest
from helpers import BODY, OK, Reply, at_once, fault_server, kinds, response, stream

from lab_apps.instruments import sender, sources
from lab_apps.instruments.claims import Claim, count_failed, exact
from lab_apps.instruments.load import send
from lab_apps.instruments.schedule import Schedule, closed, paced, poisson
from lab_apps.instruments.server import listener
from lab_apps.instruments.trial import Trial
from lab_apps.instruments.wire import Connection

COUNT = 24
FAULTY = (3, 13, 24)
TIMEOUT_S = 0.6  # where a timeout is what is wanted; an answer must never take as long
PATIENT_S = 20.0

SCHEDULES: dict[str, Schedule] = {
    "closed": closed(3, requests=COUNT),
    "open": paced(400, COUNT / 400),
}
FAULTS: dict[str, tuple[Reply, str]] = {
    "closed without a word": (Reply((), "close"), "closed"),
    "closed in the head": (Reply((b"HTTP/1.1 200 OK\r\nContent-",), "close"), "closed"),
    "closed in the body": (Reply((response()[:-3],), "close"), "closed"),
    "not HTTP": (Reply((b"SSH-2.0-OpenSSH_9.2\r\n",)), "broken"),
    "not a length": (Reply((response().replace(b"gth: 11", b"gth: eleven"),)), "broken"),
    "no answer": (Reply((), "hang"), "timeout"),
    "half an answer": (Reply((response()[:-3],), "hang"), "timeout"),
    "not HTTP any more": (
        Reply((b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",)),
        "status",
    ),
    "500": (Reply((response(status="500 Internal Server Error"),)), "status"),
    "404 and closed": (
        Reply((response(BODY, "404 Not Found", "Connection: close"),), "close"),
        "status",
    ),
    "other body": (Reply((response(b"as UNexpected"),)), "body"),
    "body cut short": (Reply((response(BODY[:-1]),)), "body"),
}


def in_process(schedule: Schedule, url: str, timeout_s: float = PATIENT_S) -> Trial:
    """The sender in this process, where it can be patched."""
    return Trial.of(sender.send(url, (stream(schedule),), timeout_s, 1), ("requests",))


def check_whole(trial: Trial, count: int = COUNT) -> None:
    """Every request is one row; those that ended well have all stamps, in order."""
    rows = trial.rows
    assert len(rows) == count
    fine = rows[rows["error"] == ""]
    for earlier, later in (("intended", "sent"), ("sent", "first_byte"), ("first_byte", "done")):
        assert np.all(fine[f"{earlier}_ns"] <= fine[f"{later}_ns"])
    assert np.all(fine["intended_ns"] >= trial.start_ns)
    assert np.all(fine["status"] == 200)
    assert np.all(fine["bytes"] == len(BODY))
    assert np.all(fine["connection"] > 0)


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


@pytest.mark.parametrize("model", SCHEDULES)
@pytest.mark.parametrize(
    "reply",
    [Reply((response(BODY, "200 OK", "Connection: close"),), then) for then in ("keep", "close")],
    ids=["the client closes", "the server closes"],
)
def test_connection_close_is_no_error(model: str, reply: Reply) -> None:
    with fault_server(lambda _: reply) as server:
        trial = send(server.url, stream(SCHEDULES[model]), timeout_s=5)
    check_whole(trial)
    assert kinds(trial) == {"": COUNT}
    assert len(set(trial.rows["connection"])) == COUNT  # each had a connection of its own


def test_idle_connection_closed_by_the_server_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """An open stream meets connections that went while nothing was in flight."""
    monkeypatch.setattr(sources, "FIRST_CONNECTIONS", 3)
    with fault_server(lambda _: Reply(then="close")) as server:
        trial = in_process(paced(20, 10 / 20), server.url, 5)
    check_whole(trial, 10)
    assert kinds(trial) == {"": 10}
    assert server.connected == 3 + 8  # one of them for the warm-up


def test_answers_in_small_pieces_and_in_chunks() -> None:
    chunks = b"2\r\nas\r\n9\r\n expected\r\n0\r\n\r\n"
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
    byte_by_byte = Reply(tuple(response()[i : i + 1] for i in range(len(response()))))
    replies = (byte_by_byte, Reply((chunked,)), Reply((chunked[:50], chunked[50:])))
    with fault_server(lambda number: replies[number % 3]) as server:
        trial = send(server.url, stream(closed(3, requests=COUNT)), timeout_s=5)
    check_whole(trial)
    assert kinds(trial) == {"": COUNT}


def test_first_byte_is_stamped_before_the_last() -> None:
    slow = Reply((response()[:30], response()[30:]), pause_s=0.05)
    with fault_server(lambda _: slow) as server:
        trial = send(server.url, stream(closed(1, requests=3)), timeout_s=5)
    check_whole(trial, 3)
    assert np.all(trial.rows["done_ns"] - trial.rows["first_byte_ns"] > 40e6)


@pytest.mark.parametrize("model", SCHEDULES)
def test_garbage_after_an_answer_ends_one_request_at_most(model: str) -> None:
    """The answer before it is whole. Whether the next is hit depends on when it was sent."""
    trailing = Reply((response() + b"\x00garbage\r\n\r\n",))
    with fault_server(lambda number: trailing if number in FAULTY else OK) as server:
        trial = send(server.url, stream(SCHEDULES[model]), timeout_s=PATIENT_S)
    check_whole(trial)
    assert set(kinds(trial)) <= {"", "broken", "closed"}
    assert kinds(trial)[""] >= COUNT - len(FAULTY)
    if model == "open":  # one request at a time on a connection: nothing else is in flight
        assert kinds(trial) == {"": COUNT}


def test_an_answer_to_nothing_is_not_taken_for_the_next() -> None:
    """Two answers in one packet: the second came before the next request was sent."""
    twice = Reply((response() + response(),))
    with fault_server(lambda number: twice if number in (3, 8, 13) else OK) as server:
        trial = send(server.url, stream(closed(1, requests=COUNT)), timeout_s=PATIENT_S)
    check_whole(trial)
    assert kinds(trial) == {"": COUNT - 3, "broken": 3}


def test_answer_after_the_timeout_is_a_timeout() -> None:
    """Also where it comes before the client has looked for timeouts again."""
    late = Reply(after_s=0.105)
    with fault_server(lambda _: late) as server:
        trial = send(server.url, stream(closed(5, requests=10)), timeout_s=0.1, warm_up=0)
    check_whole(trial, 10)
    assert kinds(trial) == {"timeout": 10}
    assert set(trial.rows["done_ns"] - trial.rows["sent_ns"]) == {100_000_000}


@pytest.mark.parametrize("model", SCHEDULES)
def test_warm_up_without_an_answer_ends(model: str) -> None:
    begun = time.monotonic()
    with fault_server(lambda _: Reply((), "hang")) as server:
        trial = send(server.url, stream(SCHEDULES[model]), timeout_s=0.05)
    assert time.monotonic() - begun < 10
    check_whole(trial)
    assert kinds(trial) == {"timeout": COUNT}


def test_connecting_without_an_answer_ends() -> None:
    """A full backlog: the kernel answers nobody, and connecting times out."""
    with listener() as sock:
        sock.listen(0)
        address = sock.getsockname()
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(address)
            fillers.append(filler)
        trial = send(f"http://127.0.0.1:{address[1]}", stream(at_once(5)), timeout_s=0.2)
        for filler in fillers:
            filler.close()
    check_whole(trial, 5)
    assert kinds(trial) == {"refused": 5}


@pytest.mark.parametrize("model", SCHEDULES)
def test_late_answer_to_a_warm_up_is_not_counted(model: str) -> None:
    stale = Reply((response(b"stale"),), after_s=TIMEOUT_S + 0.1)
    with fault_server(lambda number: OK if number else stale) as server:
        trial = send(server.url, stream(closed(1, requests=400)), timeout_s=TIMEOUT_S)
        more = send(server.url, stream(SCHEDULES[model]), timeout_s=TIMEOUT_S)
    check_whole(trial, 400)
    assert kinds(trial) == {"": 400}
    assert kinds(more) == {"": COUNT}


@pytest.mark.parametrize("warm_up", [0, 1, 5])
def test_warm_ups_are_sent_and_not_counted(warm_up: int) -> None:
    with fault_server() as server:
        trial = send(server.url, stream(closed(2, requests=COUNT)), warm_up=warm_up)
        assert server.requests == COUNT + warm_up
    check_whole(trial)


def test_streams_are_told_apart() -> None:
    with fault_server() as server:
        one = stream(closed(2, requests=10))
        other = stream(paced(100, 0.1), expect_body=b"another")
        trial = send(server.url, one, type(other)("other", *list(vars(other).values())[1:]))
        unchecked = send(server.url, stream(closed(1, requests=3), expect_body=None))
    assert unchecked.errors == {}
    assert trial.stream("requests").errors == {}
    assert trial.stream("other").errors == {"body": 10}
    assert trial.errors == {"body": 10}
    with pytest.raises(ValueError, match="third"):
        trial.stream("third")


def test_what_is_sent() -> None:
    seen: list[bytes] = []
    with fault_server() as server:
        plain = server._converse

        def converse(connection: socket.socket) -> None:
            seen.append(connection.recv(65536, socket.MSG_PEEK))
            plain(connection)

        server._converse = converse  # type: ignore[method-assign]
        one = stream(closed(1, requests=1), "/a?b=c")
        posted = type(one)("p", "/p", one.schedule, BODY, 200, "POST", (("X-A", "b"),), b"")
        send(server.url, one, warm_up=0)
        send(server.url, posted, warm_up=0)
    host = server.url.removeprefix("http://")
    assert seen == [
        f"GET /a?b=c HTTP/1.1\r\nHost: {host}\r\n\r\n".encode(),
        f"POST /p HTTP/1.1\r\nHost: {host}\r\nX-A: b\r\nContent-Length: 0\r\n\r\n".encode(),
    ]


def test_closed_users_never_send_before_their_answer() -> None:
    """Of three users never more than three requests are in flight, and most of the time three."""
    with fault_server(lambda _: Reply(after_s=0.01)) as server:
        trial = send(server.url, stream(closed(3, requests=60)))
    check_whole(trial, 60)
    assert len(set(trial.rows["connection"])) == 3
    changes = sorted(
        [(sent, 1) for sent in trial.rows["sent_ns"]] + [(d, -1) for d in trial.rows["done_ns"]]
    )
    flying = np.cumsum([change for _, change in changes])
    assert flying.max() == 3
    assert np.mean(trial.rows["intended_ns"] == trial.rows["sent_ns"]) < 1


def test_closed_schedule_ends_after_its_seconds() -> None:
    with fault_server(lambda _: Reply(after_s=0.01)) as server:
        trial = send(server.url, stream(closed(2, seconds=0.3)))
    sent = trial.at_s("sent")
    assert 0.25 < sent.max() < 0.3 + 0.1  # one begun in time may be sent a moment later
    assert trial.errors == {}
    assert len(trial.rows) <= 2 * 30 + 2


def test_fewer_requests_than_users() -> None:
    with fault_server() as server:
        trial = send(server.url, stream(closed(8, requests=3)))
    check_whole(trial, 3)
    assert trial.errors == {}


@pytest.mark.parametrize("seed", [1, 2])
def test_open_loop_sends_exactly_its_schedule(seed: int) -> None:
    schedule = poisson(600, 0.25, seed=seed)
    with fault_server(lambda number: Reply(after_s=0.05 if number % 7 == 0 else 0)) as server:
        trial = send(server.url, stream(schedule))
    check_whole(trial, len(schedule.at_s))
    assert trial.errors == {}
    due = sorted(round(at * 1e9) for at in schedule.at_s.tolist())
    assert sorted((trial.rows["intended_ns"] - trial.start_ns).tolist()) == due
    assert np.all(
        trial.rows["done_ns"] - trial.rows["intended_ns"]
        >= trial.rows["done_ns"] - trial.rows["sent_ns"]
    )
    assert np.all(trial.response_ms >= trial.service_ms)
    assert np.all(trial.send_lag_ms >= 0)


def test_response_is_timed_from_the_intended_instant(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that sends 30 ms late says so in the response, and not in the service time."""
    whole = sources.OpenSource.fire

    def late(self: sources.OpenSource, intended_ns: int) -> None:
        time.sleep(0.03)
        whole(self, intended_ns)

    monkeypatch.setattr(sources.OpenSource, "fire", late)
    with fault_server() as server:
        trial = in_process(paced(20, 0.25), server.url)
    check_whole(trial, 5)
    assert np.all(trial.send_lag_ms >= 30)
    assert np.all(trial.response_ms >= 30)
    assert np.median(trial.service_ms) < 15


def test_nothing_to_send() -> None:
    with fault_server() as server:
        trial = send(server.url, stream(at_once(0)))
    assert len(trial.rows) == 0
    assert trial.errors == {}


@pytest.mark.parametrize("url", ["https://127.0.0.1:1", "127.0.0.1:1", "", "ftp://x"])
def test_address_that_is_not_plain_http(url: str) -> None:
    with pytest.raises(ValueError, match="http://host:port") as caught:
        send(url, stream(closed(1, requests=1)))
    assert repr(url) in str(caught.value)


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
