"""A stream's connections: how many, with whom they are, and which of them a request takes."""

from __future__ import annotations

import dataclasses
import random
import time
import zlib
from collections import Counter
from collections.abc import Callable
from typing import Any

import apps
import numpy as np
import pytest
from helpers import BODY, OK, Reply, at_once, fault_server, kinds, response, stream

from lab_apps.instruments import sender, sources
from lab_apps.instruments.load import send
from lab_apps.instruments.schedule import Open, closed, paced
from lab_apps.instruments.server import serve
from lab_apps.instruments.trial import Trial
from lab_apps.instruments.wire import Connection, Stream


def in_process(*streams: Stream, url: str, timeout_s: float = 20) -> Trial:
    """The sender in this process, where it can be patched."""
    names = tuple(one.name for one in streams)
    return Trial.of(sender.send(url, streams, timeout_s, 0), names)


def asking(one: Stream, name: str = "requests") -> Stream:
    return dataclasses.replace(one, name=name, identify="/who")


class Mirror:
    """An app that says at /who which of its connections asks; it keeps who asked for what."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bytes]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return await apps.bare(scope, receive, send)
        port = str(scope["client"][1]).encode()
        self.asked.append((scope["path"], port))
        body = port if scope["path"] == "/who" else BODY
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        return None


# With whom they are.


def check_peers(send: Callable[..., Trial]) -> None:
    """Each first connection's own answer, and rows that know nothing of it."""
    with serve(mirror := Mirror()) as server:
        streams = asking(stream(paced(200, 0.2)), "open"), asking(stream(closed(3, requests=30)))
        trial = send(server.url, *streams, warm_up=0)
    assert kinds(trial) == {"": 70}
    assert set(trial.rows["bytes"]) == {len(BODY)}
    assert np.all(trial.rows["intended_ns"] >= trial.start_ns)
    firsts = [(0, number) for number in range(1, 41)] + [(1, number) for number in range(1, 4)]
    assert sorted(trial.peers) == firsts
    assert sorted(trial.peers.values()) == sorted(port for at, port in mirror.asked if at == "/who")
    assert len(set(trial.peers.values())) == 43
    by_peer = Counter(trial.peers[int(r["stream"]), int(r["connection"])] for r in trial.rows)
    assert by_peer == Counter(port for at, port in mirror.asked if at == "/")
    assert trial.stream("open").peers == trial.peers


def test_peers() -> None:
    check_peers(send)


def mixed_up(url: str, *streams: Stream, warm_up: int) -> Trial:
    trial = send(url, *streams, warm_up=warm_up)
    names = [*trial.peers.values()]
    mixed = dict(zip(trial.peers, names[1:] + names[:1], strict=True))
    return dataclasses.replace(trial, peers=mixed)


def not_asked(url: str, *streams: Stream, warm_up: int) -> Trial:
    streams = tuple(dataclasses.replace(one, identify="") for one in streams)
    return send(url, *streams, warm_up=warm_up)


@pytest.mark.parametrize("broken", [mixed_up, not_asked])
def test_check_sees_wrong_peers(broken: Callable[..., Trial]) -> None:
    with pytest.raises(AssertionError):
        check_peers(broken)


def test_nobody_is_asked_unless_told() -> None:
    with serve(mirror := Mirror()) as server:
        trial = send(server.url, stream(paced(200, 0.1)))
    assert trial.peers == {}
    assert {path for path, _ in mirror.asked} == {"/"}


NO_ANSWERS = {
    "404": Reply((response(b"who?", "404 Not Found"),)),
    "500 and closed": Reply((response(b"who?", "500 Oops", "Connection: close"),), "close"),
    "closed": Reply((), "close"),
    "closed in the body": Reply((response()[:-3],), "close"),
    "not HTTP": Reply((b"SSH-2.0-OpenSSH_9.2\r\n",)),
    "hangs": Reply((), "hang"),
    "hangs in the body": Reply((response()[:-3],), "hang"),
}


@pytest.mark.parametrize("schedule", [paced(200, 6 / 200), closed(6, requests=6)])
@pytest.mark.parametrize("fault", NO_ANSWERS)
def test_connection_that_does_not_say_who_it_is_with(fault: str, schedule: Open) -> None:
    """It is with nobody known, and no request is lost for it."""
    with fault_server(lambda number: NO_ANSWERS[fault] if number == 2 else OK) as server:
        trial = send(server.url, asking(stream(schedule)), timeout_s=0.6, warm_up=0)
    assert trial.peers == {(0, n): b"" if n == 3 else BODY for n in range(1, 7)}
    assert kinds(trial) == {"": 6}


@pytest.mark.parametrize("schedule", [paced(200, 6 / 200), closed(6, requests=6)])
def test_server_that_dies_while_it_is_asked(schedule: Open) -> None:
    """Every request is a row all the same."""
    with fault_server(lambda number: Reply((), "die") if number == 2 else OK) as server:
        trial = send(server.url, asking(stream(schedule)))
    assert len(trial.rows) == 6
    assert set(kinds(trial)) <= {"refused", "closed"}


# How many.


@pytest.mark.parametrize("requests", [1, 5, 128, 200])
def test_first_connections(requests: int) -> None:
    with serve(Mirror()) as server:
        trial = send(server.url, asking(stream(paced(2000, requests / 2000))), warm_up=0)
    assert len(trial.peers) == min(128, requests)
    assert kinds(trial) == {"": requests}


# Which of them a request takes.


def spread(url: str) -> int:
    """Connections used by 30 requests of which none meets another."""
    trial = in_process(stream(paced(50, 0.6)), url=url)
    assert kinds(trial) == {"": 30}
    return len(set(trial.rows["connection"]))


class LastIn(random.Random):
    """Takes who was answered last, as the sender once did."""

    def randrange(self, start: int, *_: Any) -> int:
        return start - 1


def check_spread() -> None:
    with fault_server() as server:
        assert spread(server.url) >= 10


def test_many_connections_are_used_at_a_low_rate() -> None:
    check_spread()


def test_check_sees_who_takes_the_last_one_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "Random", LastIn)
    with pytest.raises(AssertionError):  # two of 30 requests, or six where some meet
        check_spread()


class Fake:
    """A connection that is answered at once."""

    transport = "open"

    def __init__(self, source: sources.OpenSource, taken: list[int], number: int) -> None:
        self.source, self.taken, self.number = source, taken, number

    def send(self, _: int) -> None:
        self.taken.append(self.number)
        self.source.after(self)  # type: ignore[arg-type]


def taken(index: int, requests: int, connections: int = 16) -> list[int]:
    """The connections that the stream with this index takes, one request after another."""
    numbers: list[int] = []
    schedule = at_once(requests)
    source = sources.OpenSource(schedule, index, stream(schedule), "127.0.0.1", 1, 20, [])
    source.idle = [Fake(source, numbers, n) for n in range(connections)]  # type: ignore[misc]
    for _ in range(requests):
        source.fire(0)
    assert source.ended.is_set()
    return numbers


def test_every_idle_connection_is_as_likely() -> None:
    counts = Counter(taken(0, 16_000))
    assert sorted(counts) == list(range(16))
    assert all(abs(count - 1000) < 4 * (1000 * 15 / 16) ** 0.5 for count in counts.values())


def test_choice_is_the_streams_own_and_repeats() -> None:
    assert taken(1, 200) == taken(1, 200)
    assert taken(1, 200) != taken(2, 200)


# When the first is due.


def slack_and_lag_ms(count: int, monkeypatch: pytest.MonkeyPatch) -> tuple[float, float]:
    """How long before its first instant a plan of that many requests is ready.

    And how late its first requests are sent, the median of 20.
    """
    ready: list[float] = []
    pace = sender._pace

    def noting(loop: Any, plan: list[sources.Due]) -> None:
        ready.append((plan[0][0] - time.perf_counter_ns()) / 1e6)
        pace(loop, plan)

    monkeypatch.setattr(sender, "_pace", noting)
    monkeypatch.setattr(sources, "FIRST_CONNECTIONS", 1)
    monkeypatch.setattr(sources, "MAX_CONNECTIONS", 1)
    schedule = Open(np.concatenate([np.arange(20) / 100, np.full(count - 20, 0.3)]), "a large plan")
    with fault_server() as server:
        trial = in_process(stream(schedule), url=server.url)
    assert len(trial.rows) == count
    first = np.sort(trial.rows, order="intended_ns")[:20]
    return ready[0], float(np.median(first["sent_ns"] - first["intended_ns"]) / 1e6)


def test_large_plan_is_ready_before_its_first_request(monkeypatch: pytest.MonkeyPatch) -> None:
    slack_ms, lag_ms = slack_and_lag_ms(20_000, monkeypatch)
    assert slack_ms > 0
    assert 0 <= lag_ms < 20


def test_check_sees_a_lead_that_is_too_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "LEAD_EACH_NS", 0)
    assert slack_and_lag_ms(100_000, monkeypatch)[0] < 0


# An answer that comes before the request is whole.


def check_early_answers() -> None:
    """Each request has a connection of its own: the last one's still waits for its body."""
    upload = dataclasses.replace(stream(closed(1, requests=4)), method="POST", body=bytes(2**25))
    with fault_server(lambda _: Reply(then="hang")) as server:
        trial = in_process(upload, url=server.url, timeout_s=2)
    assert kinds(trial) == {"": 4}
    assert server.connected == 4


def test_early_answers() -> None:
    check_early_answers()


def test_check_sees_a_connection_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Connection, "half_sent", lambda _: False)
    with pytest.raises(AssertionError):
        check_early_answers()


def test_a_large_request_arrives_whole() -> None:
    """More than the kernel takes at once."""
    body = random.Random(1).randbytes(2**24)
    upload = dataclasses.replace(
        stream(closed(2, requests=6), expect_body=str(zlib.crc32(body)).encode()),
        method="POST",
        body=body,
    )
    with serve(apps.checksum) as server:
        trial = in_process(upload, url=server.url)
    assert kinds(trial) == {"": 6}
