"""What the tests of practice 3 share: its app on a schema of its own, asked and looked into."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
from fastapi import FastAPI
from helpers import at_once

from lab_apps.instruments import postgres
from lab_apps.instruments.load import send
from lab_apps.instruments.queries import Recorder, RequestLog
from lab_apps.instruments.server import serve
from lab_apps.instruments.wire import Stream
from lab_apps.practices.database_checks import create_app

SPECIMEN = "lab_apps.practices.database_checks:app"


@dataclass(frozen=True)
class Checked:
    """A running app, its database, and a client."""

    url: str
    app: FastAPI
    server_url: str
    client: httpx.Client
    db: psycopg.Connection[Any]
    recorder: Recorder

    def rows(self, email: str, table: str = "loose_users") -> int:
        """How many rows there are of that address."""
        found = self.db.execute(f"SELECT count(*) FROM {table} WHERE email = %s", [email])
        row = found.fetchone()
        assert row is not None
        return int(row[0])

    def together(self, path: str, email: str, number: int = 20) -> dict[int, int]:
        """So many sign-ups of one address at once; the answers by status."""
        form = {"headers": (("Content-Type", "application/json"),), "connections": number}
        body = json.dumps({"email": email}).encode()
        stream = Stream("at once", path, at_once(number), method="POST", body=body, **form)  # type: ignore[arg-type]
        rows = send(self.server_url, stream, warm_up=0).rows
        return dict(Counter(rows["status"].tolist()))

    def ask(self, method: str, path: str, **request: Any) -> tuple[httpx.Response, RequestLog]:
        """The answer, and the log of the request."""
        self.recorder.take()
        answer = self.client.request(method, path, **request)
        (log,) = self.recorder.take()
        return answer, log


@contextlib.contextmanager
def checked(make: Callable[[str], FastAPI] = create_app) -> Iterator[Checked]:
    """What `make` makes of the url of an empty schema, while the block runs."""
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(postgres.database().schema()).url
        app = make(url)
        recorder = Recorder(app)
        server = stack.enter_context(serve(recorder))
        client = stack.enter_context(httpx.Client(base_url=server.url))
        db = stack.enter_context(psycopg.connect(url, autocommit=True))
        yield Checked(url, app, server.url, client, db, recorder)
