"""What the sender sends, and when: its schedule exactly, timed from the intended instants."""

from __future__ import annotations

import socket
import time

import numpy as np
import pytest
from helpers import BODY, Reply, at_once, fault_server, stream
from sender_faults import COUNT, check_whole, in_process

from lab_apps.instruments import sources
from lab_apps.instruments.load import send
from lab_apps.instruments.schedule import closed, paced, poisson


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
