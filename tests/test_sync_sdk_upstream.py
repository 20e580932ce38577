"""The upstream counts what it is asked, by connection and not by address, and waits as told."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from typing import Any

import httpx
import pytest
from helpers import attempts, wait_until

from lab_apps.instruments.server import App, serve
from lab_apps.practices.sync_sdk import upstream
from lab_apps.practices.sync_sdk.upstream import Upstream, create_app

PATH = "/v1/chat/completions"
NOTHING = dict.fromkeys(
    ("begun", "finished", "left", "retries", "pieces", "at_once", "connections"), 0
)


def post(client: httpx.Client, *, stream: bool = False, retry: int = 0, **query: Any) -> Any:
    """A call as the SDK makes it."""
    headers = {"x-stainless-retry-count": str(retry)}
    return client.post(PATH, json={"stream": stream}, params=query, headers=headers)


def counts(url: str) -> dict[str, int]:
    told: dict[str, int] = httpx.get(f"{url}/counts").json()
    return told


def check_counts(app: App = create_app) -> None:
    with serve(app) as server, httpx.Client(base_url=server.url) as client:
        assert counts(server.url) == NOTHING
        answer = post(client, latency_ms=0)
        assert answer.json()["choices"][0]["message"]["content"] == "pong"
        assert post(client, latency_ms=0, status=500, retry=1).status_code == 500
        pieces = post(client, stream=True, pieces=3, latency_ms=5).text.split("\n\n")
        assert pieces[-2:] == ["data: [DONE]", ""]
        words = [json.loads(one[6:])["choices"][0]["delta"]["content"] for one in pieces[:-2]]
        assert words == ["0 ", "1 ", "2 "]
        told = {"begun": 3, "finished": 3, "retries": 1, "pieces": 3, "at_once": 1}
        assert counts(server.url) == NOTHING | told | {"connections": 1}


def test_counts() -> None:
    check_counts()


class Forgetful(Upstream):
    """Sees no retry, because it is asked for another header."""

    async def call(self, scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"x-stainless-retry-count", b"0"), *scope["headers"]]
        await super().call({**scope, "headers": headers}, receive, send)


def test_check_sees_a_retry_not_counted() -> None:
    with pytest.raises(AssertionError):
        check_counts(Forgetful())


def check_one_port_twice(app: App = create_app) -> None:
    """Two connections, one after another, from the same port."""
    with serve(app) as server:
        host, port = server.url.removeprefix("http://").split(":")
        own = 0
        for _ in range(2):
            with socket.socket() as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                # A reset, so that the port is free at once.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.bind(("127.0.0.1", own))
                sock.connect((host, int(port)))
                own = sock.getsockname()[1]
                head = (
                    f"POST {PATH}?latency_ms=0 HTTP/1.1\r\nHost: lab\r\nContent-Length: 2\r\n\r\n"
                )
                sock.sendall(f"{head}{{}}".encode())
                assert sock.recv(4096).startswith(b"HTTP/1.1 200")
        assert counts(server.url)["connections"] == 2


def test_connections_from_the_same_port() -> None:
    check_one_port_twice()


class ByAddress(Upstream):
    """Takes an address for a connection."""

    async def call(self, scope: Any, receive: Any, send: Any) -> None:
        await super().call(scope, receive, send)
        self.addresses = {*getattr(self, "addresses", set()), scope["client"]}
        self.counts.connections = len(self.addresses)


def test_check_sees_addresses_counted() -> None:
    with pytest.raises(AssertionError):
        check_one_port_twice(ByAddress())


def check_at_once(app: App = create_app) -> None:
    """The most calls at a time since the counts were last told."""

    async def together(url: str, number: int) -> None:
        async with httpx.AsyncClient(base_url=url) as client:
            calls = (client.post(PATH, json={}, params={"latency_ms": 150}) for _ in range(number))
            await asyncio.gather(*calls)

    with serve(app) as server:
        for number in (5, 2):
            asyncio.run(together(server.url, number))
            assert counts(server.url)["at_once"] == number


def test_at_once() -> None:
    attempts(check_at_once)


class SinceTheStart(Upstream):
    """Forgets to begin anew."""

    most = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.most = self.counts.at_once = max(self.most, self.counts.at_once)
        await super().__call__(scope, receive, send)


def test_check_sees_an_old_maximum() -> None:
    with pytest.raises(AssertionError):
        attempts(check_at_once, lambda: SinceTheStart())


def check_left(app: App = create_app) -> None:
    """A caller that hangs up is seen, before the answer and between pieces."""
    with serve(app) as server, httpx.Client(base_url=server.url) as client:
        with pytest.raises(httpx.ReadTimeout):
            client.post(PATH, json={}, params={"latency_ms": 900}, timeout=0.1)
        query = {"latency_ms": 100, "pieces": 12}
        with client.stream("POST", PATH, json={"stream": True}, params=query) as answer:
            next(answer.iter_raw())
        assert wait_until(lambda: counts(server.url)["left"] == 2, 0.6)
        assert counts(server.url)["finished"] == 0


def test_left() -> None:
    check_left()


def test_check_sees_a_caller_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def stays(_: Any, latency_ms: float) -> bool:
        await asyncio.sleep(latency_ms / 1e3)
        return False

    monkeypatch.setattr(upstream, "leaves", stays)
    with pytest.raises(AssertionError):
        check_left()


def check_latency() -> None:
    with serve(create_app) as server, httpx.Client(base_url=server.url) as client:
        post(client, latency_ms=0)
        for latency_ms in (20, 200):
            begun = time.perf_counter()
            post(client, latency_ms=latency_ms)
            assert latency_ms <= 1e3 * (time.perf_counter() - begun) + 1 < latency_ms + 15


def test_latency() -> None:
    attempts(check_latency)
