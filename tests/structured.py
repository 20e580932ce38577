"""What the tests of practice 1 share: its app in either layout, served, and users who ask it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import httpx
import psycopg
from fastapi import FastAPI

from lab_apps.instruments import postgres
from lab_apps.instruments.server import serve
from lab_apps.practices.project_structure import by_domain, by_type
from lab_apps.practices.project_structure.by_domain import main as by_domain_main
from lab_apps.practices.project_structure.by_type import main as by_type_main

PASSWORD = "correct horse"
LAYOUTS: dict[str, ModuleType] = {"by_domain": by_domain_main, "by_type": by_type_main}
FOLDERS = {"by_domain": Path(by_domain.__path__[0]), "by_type": Path(by_type.__path__[0])}

Answer = tuple[int, Any]


@dataclass(frozen=True)
class Site:
    """A running app, its database and its bucket."""

    app: FastAPI
    url: str
    bucket: Path
    db: psycopg.Connection[Any]
    client: httpx.Client

    def ask(self, method: str, path: str, token: str = "", **request: Any) -> Answer:
        """The status and the body, as text where it is no JSON."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = self.client.request(method, path, headers=headers, **request)
        is_json = answer.content and answer.headers["content-type"] == "application/json"
        return answer.status_code, answer.json() if is_json else answer.text

    def register(self) -> User:
        """A new user, logged in."""
        credentials = {"email": f"{uuid4().hex}@example.org", "password": PASSWORD}
        status, account = self.ask("POST", "/auth/users", json=credentials)
        assert (status, account["email"]) == (201, credentials["email"])
        status, token = self.ask("POST", "/auth/token", json=credentials)
        assert (status, token["token_type"]) == (200, "bearer")
        return User(self, account["id"], account["email"], token["access_token"])

    def count(self, table: str) -> int:
        """How many rows the table has."""
        row = self.db.execute(f"SELECT count(*) FROM {table}").fetchone()
        assert row is not None
        return int(row[0])

    def files(self) -> list[Path]:
        """What is in the bucket."""
        return sorted(self.bucket.iterdir())


@dataclass(frozen=True)
class User:
    """Somebody with an account and a token."""

    site: Site
    id: str
    email: str
    token: str = field(repr=False)

    def ask(self, method: str, path: str, **request: Any) -> Answer:
        """The same, with the token."""
        return self.site.ask(method, path, self.token, **request)

    def write(self, title: str = "A title") -> str:
        """The path of a new post."""
        status, post = self.ask("POST", "/posts", json={"title": title})
        assert (status, post) == (201, {"id": post["id"], "author_id": self.id, "title": title})
        return f"/posts/{post['id']}"

    def attach(self, post: str, content: bytes = b"some bytes") -> str:
        """The path of a new file of that post."""
        status, file = self.ask("POST", f"{post}/attachments", files={"file": ("a.txt", content)})
        assert (status, file) == (201, {"id": file["id"]})
        return f"{post}/attachments/{file['id']}"

    def notifications(self) -> Any:
        """What the user is told of."""
        status, notifications = self.ask("GET", "/notifications")
        assert status == 200
        return notifications


@contextlib.contextmanager
def site(layout: str, bucket: Path) -> Iterator[Site]:
    """The app in that layout on an empty schema, while the block runs."""
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(postgres.database().schema()).url
        app = LAYOUTS[layout].create_app(url, bucket=bucket)
        server = stack.enter_context(serve(app))
        client = stack.enter_context(httpx.Client(base_url=server.url))
        db = stack.enter_context(psycopg.connect(url, autocommit=True))
        yield Site(app, url, bucket, db, client)
