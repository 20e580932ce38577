"""What the tests of practice 10 share: its app and its upstream, asked and counted."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI

from lab_apps.instruments.server import App, Server, serve
from lab_apps.practices.sync_sdk import built, chats, create_app, faults, leaving, streams
from lab_apps.practices.sync_sdk.clients import lifespan_of
from lab_apps.practices.sync_sdk.upstream import create_app as create_upstream


@dataclass(frozen=True)
class Sdk:
    """The specimen's server, a client of it, and its upstream."""

    server: Server
    client: httpx.Client
    upstream: Server

    def counts(self) -> dict[str, int]:
        """What the upstream has been asked."""
        counts: dict[str, int] = httpx.get(f"{self.upstream.url}/counts").json()
        return counts

    def calls(self, path: str, times: int = 1) -> dict[str, int]:
        """What so many requests, one after another, come to at the upstream."""
        before = self.counts()
        for _ in range(times):
            self.client.get(path)
        after = self.counts()
        return {name: after[name] - before[name] for name in before}


@contextlib.contextmanager
def sdk(
    make: Callable[[str], FastAPI] = create_app,
    *,
    upstream: App = create_upstream,
    tokens: int | None = None,
) -> Iterator[Sdk]:
    """The app that `make` makes of its upstream's address, and that upstream, in the block."""
    with (
        serve(upstream) as other,
        serve(lambda: make(other.url), tokens=tokens) as server,
        httpx.Client(base_url=server.url, timeout=20) as client,
    ):
        yield Sdk(server, client, other)


def spoiled(path: str, endpoint: Callable[..., Any]) -> Callable[[str], FastAPI]:
    """The specimen with another route at that path: the first that fits is taken."""

    def make(url: str) -> FastAPI:
        app = FastAPI(lifespan=lifespan_of(url))
        app.add_api_route(path, endpoint, response_model=None)
        for part in (chats, built, streams, faults, leaving):
            app.include_router(part.router)
        return app

    return make
