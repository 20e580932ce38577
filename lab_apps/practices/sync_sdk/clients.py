"""The SDK's clients: one of each kind for the whole app, and how to make one for a request."""

from __future__ import annotations

import contextlib
import functools
import os
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

import anyio
from fastapi import FastAPI, Request
from httpx2 import Limits
from openai import AsyncOpenAI, DefaultAsyncHttpxClient, DefaultHttpxClient, OpenAI

UPSTREAM_URL = "http://127.0.0.1:8001"

Client = TypeVar("Client", OpenAI, AsyncOpenAI)

_settings = threading.Lock()  # clients are built on several threads


@functools.cache
def tls_context() -> ssl.SSLContext:
    """What takes most of the time in making a client: one for all that live as long as the app."""
    return ssl.create_default_context()


def new_client(url: str, **http: Any) -> OpenAI:
    """The SDK's client for the upstream at `url`; `http` are options of its HTTP client.

    `trust_env=False`: no proxy that the environment names.
    """
    http_client = DefaultHttpxClient(trust_env=False, **http)
    with without_settings():
        return OpenAI(base_url=f"{url}/v1", api_key="not-needed", http_client=http_client)


def new_async_client(url: str, **http: Any) -> AsyncOpenAI:
    """The same with the SDK's async client."""
    http_client = DefaultAsyncHttpxClient(trust_env=False, **http)
    with without_settings():
        return AsyncOpenAI(base_url=f"{url}/v1", api_key="not-needed", http_client=http_client)


def with_options(client: Client, **options: Any) -> Client:
    """The SDK's `client.with_options(…)`, which reads the same settings once more."""
    with without_settings():
        return client.with_options(**options)


@dataclass(frozen=True)
class Clients:
    """What the routes share: the upstream's address, a client of each kind, a limiter.

    `narrow` is an async client of two connections.
    """

    url: str
    blocking: OpenAI
    awaiting: AsyncOpenAI
    narrow: AsyncOpenAI
    limiter: anyio.CapacityLimiter


def shared(request: Request) -> Clients:
    """The app's clients."""
    clients: Clients = request.app.state.clients
    return clients


def lifespan_of(
    upstream_url: str | None,
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """Open the clients when the app starts, close them when it ends."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        url = upstream_url or os.environ.get("UPSTREAM_URL", UPSTREAM_URL)
        two, tls = Limits(max_connections=2), tls_context()
        with new_client(url, verify=tls) as blocking:
            async with (
                new_async_client(url, verify=tls) as awaiting,
                new_async_client(url, verify=tls, limits=two) as narrow,
            ):
                limiter = anyio.CapacityLimiter(40)
                app.state.clients = Clients(url, blocking, awaiting, narrow, limiter)
                yield

    return lifespan


@contextlib.contextmanager
def without_settings() -> Iterator[None]:
    """Leave out what the environment says to the SDK (OPENAI_…) while a client is built.

    It would add headers, an organisation and a project. OPENAI_LOG is read earlier, when the SDK is
    imported, and stays in force. One block at a time, or another's end would bring them back.
    """
    with _settings:
        settings = {name: os.environ.pop(name) for name in [*os.environ] if name[:7] == "OPENAI_"}
        try:
            yield
        finally:
            os.environ.update(settings)
