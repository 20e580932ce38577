"""No key, no proxy, no name looked up: what the reader's environment has to do with the SDK."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from helpers import needs_proc, no_leftovers, wait_until
from openai import AsyncOpenAI, OpenAI

from lab_apps.instruments.lookups import lookups
from lab_apps.instruments.server import listener, serve
from lab_apps.practices.sync_sdk import clients, create_app
from lab_apps.practices.sync_sdk.chats import ask, ask_async
from lab_apps.practices.sync_sdk.upstream import Upstream
from lab_apps.practices.sync_sdk.upstream import create_app as create_upstream

NOBODY = "http://127.0.0.1:9"  # where nothing listens
SETTINGS = {
    "OPENAI_API_KEY": "reader's key",
    "OPENAI_BASE_URL": f"{NOBODY}/v1",
    "OPENAI_ORG_ID": "reader's organisation",
    "OPENAI_PROJECT_ID": "reader's project",
    "OPENAI_CUSTOM_HEADERS": "X-Lab: reader's header",
    **{f"{kind}_PROXY": NOBODY for kind in ("HTTP", "HTTPS", "ALL")},
}
PATHS = (
    "/chat/def",
    "/chat/async",
    "/built/def",
    "/built/async-client",
    "/built/options",
    "/faults/narrow?retries=0",
)


def check_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """All calls reach the upstream, and nothing of the reader's environment does."""
    heard: list[dict[bytes, bytes]] = []
    upstream = Upstream()

    async def listening(scope: Any, receive: Any, send: Any) -> None:
        heard.append(dict(scope.get("headers", [])))
        await upstream(scope, receive, send)

    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    with (
        serve(listening) as other,
        serve(lambda: create_app(other.url)) as server,
        httpx.Client(base_url=server.url, trust_env=False, timeout=20) as client,
    ):
        heard.clear()  # the lifespan
        for path in PATHS:
            answer = client.get(path, params={"latency_ms": 0}).json()
            assert answer.get("answer") == "pong", (path, answer)
        assert len(heard) == len(PATHS)
        for headers in heard:
            assert headers[b"authorization"].startswith((b"Bearer not-needed", b"Bearer another"))
            assert [value for value in headers.values() if b"reader" in value] == []
    assert {name: os.environ.get(name) for name in SETTINGS} == SETTINGS  # as it was


def test_settings_of_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    check_settings(monkeypatch)


def test_check_sees_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "without_settings", contextlib.nullcontext)
    with pytest.raises(AssertionError, match="reader"):
        check_settings(monkeypatch)


@pytest.mark.parametrize(
    ("name", "path"), [("DefaultHttpxClient", "/chat/def"), ("DefaultAsyncHttpxClient", "/async")]
)
def test_check_sees_a_proxy(name: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def trusting(**options: Any) -> Any:
        return made(**{**options, "trust_env": True})

    made = getattr(clients, name)
    monkeypatch.setattr(clients, name, trusting)
    with pytest.raises(AssertionError, match=f"{path}.*APIConnectionError"):
        check_settings(monkeypatch)


def test_settings_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "reader's key")
    with contextlib.suppress(RuntimeError), clients.without_settings():
        assert "OPENAI_API_KEY" not in os.environ
        raise RuntimeError
    assert os.environ["OPENAI_API_KEY"] == "reader's key"


async def asked_async(client: AsyncOpenAI, found: list[str]) -> None:
    """One call; the loop looks names up in a thread, so that is noted where it is handed over."""
    loop = asyncio.get_running_loop()
    look_up = loop.getaddrinfo

    async def noted(host: Any, *args: Any, **options: Any) -> Any:
        found.append(f"getaddrinfo of {host}")
        return await look_up(host, *args, **options)

    loop.getaddrinfo = noted  # type: ignore[method-assign]
    async with client:
        await ask_async(client, 0)


def asked(client: OpenAI) -> None:
    with client:
        ask(client, 0)


def check_lookups(make: Callable[[str], Any]) -> None:
    """All that a call asks of the network is this machine's own address."""
    with serve(create_upstream) as upstream:
        client = make(upstream.url)
        with lookups() as found:
            if isinstance(client, AsyncOpenAI):
                asyncio.run(asked_async(client, found))
            else:
                asked(client)
    assert found
    assert all("127.0.0.1" in one for one in found), found


@pytest.mark.parametrize("make", [clients.new_client, clients.new_async_client])
def test_no_name_is_looked_up(make: Callable[[str], Any]) -> None:
    check_lookups(make)


@pytest.mark.parametrize("make", [clients.new_client, clients.new_async_client])
def test_check_sees_a_lookup(make: Callable[[str], Any]) -> None:
    with pytest.raises(AssertionError, match="localhost"):
        check_lookups(lambda url: make(url.replace("127.0.0.1", "localhost")))


@contextlib.contextmanager
def uvicorn(app: str, env: dict[str, str]) -> Iterator[str]:
    """`uvicorn app` as its reader runs it, until Ctrl-C; its address."""
    with listener() as sock:
        port = str(sock.getsockname()[1])
    command = [sys.executable, "-m", "uvicorn", app, "--port", port, "--log-level", "warning"]
    process = subprocess.Popen(command, env={**os.environ, **env})
    url = f"http://127.0.0.1:{port}"
    try:
        assert wait_until(lambda: answers(url), 20)
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(10)


def answers(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{url}/counts").status_code in (200, 404)
    return False


@needs_proc
def test_runs_alone() -> None:
    package = "lab_apps.practices.sync_sdk"
    with (
        no_leftovers(),
        uvicorn(f"{package}.upstream:app", {}) as upstream,
        uvicorn(f"{package}:app", {"UPSTREAM_URL": upstream}) as specimen,
    ):
        answer = httpx.get(f"{specimen}/chat/def?latency_ms=20")
        assert answer.json() == {"answer": "pong", "called_on": "worker thread"}
        assert httpx.get(f"{upstream}/counts").json()["finished"] == 1
