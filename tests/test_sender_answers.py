"""Answers to the sender: in pieces, late, unasked or never, and connections that close between."""

from __future__ import annotations

import socket
import time

import numpy as np
import pytest
from helpers import BODY, OK, Reply, at_once, fault_server, kinds, response, stream
from sender_faults import COUNT, FAULTY, PATIENT_S, SCHEDULES, TIMEOUT_S, check_whole, in_process

from lab_apps.instruments import sources
from lab_apps.instruments.load import send
from lab_apps.instruments.schedule import closed, paced
from lab_apps.instruments.server import listener


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
