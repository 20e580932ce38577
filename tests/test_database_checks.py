"""The dependency that three routes share: what it answers, after how many queries, in which order.

And the app's start: it makes its tables once, and says what it lacks.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid1, uuid4

import httpx
import psycopg
import pytest
from checked import SPECIMEN, Checked, checked
from helpers import needs_proc, no_leftovers

from lab_apps.instruments import postgres
from lab_apps.instruments.server import Process, serve
from lab_apps.practices.database_checks import create_app

SHARED = [("GET", ""), ("PUT", ""), ("GET", "/reviews")]
GOOD, BAD, BROKEN = '{"title": "Another"}', '{"title": ""}', '{"title": '


@pytest.fixture(scope="module")
def running() -> Iterator[Checked]:
    with checked() as one:
        yield one
    postgres.stop()


@pytest.fixture
def post_id(running: Checked) -> str:
    written = running.client.post("/posts", json={"title": "A title"})
    assert written.status_code == 201
    return str(written.json()["id"])


def test_a_post_is_written_read_and_changed(running: Checked, post_id: str) -> None:
    client, path = running.client, f"/posts/{post_id}"
    assert client.get(path).json() == {"id": post_id, "title": "A title"}
    assert client.put(path, json={"title": "Another"}).json() == {"id": post_id, "title": "Another"}
    assert client.get(path).json()["title"] == "Another"
    assert client.get(f"{path}/reviews").json() == []
    running.db.execute("INSERT INTO reviews VALUES (%s, 4), (%s, 5)", [post_id, post_id])
    assert client.get(f"{path}/reviews").json() == [{"stars": 4}, {"stars": 5}]


@pytest.mark.parametrize(("method", "rest"), SHARED)
def test_each_route_checks_with_one_query(running: Checked, method: str, rest: str) -> None:
    absent = uuid4()
    answer, log = running.ask(method, f"/posts/{absent}{rest}", json={"title": "Another"})
    assert answer.status_code == 404
    assert answer.json() == {"detail": f"no post {absent}"}
    (query,) = log.queries
    assert query.sql == "SELECT title FROM posts WHERE id = %s"


@pytest.mark.parametrize(
    ("which", "body", "status", "queries"),
    [
        ("there", GOOD, 200, 2),
        ("no UUID", GOOD, 422, 0),
        ("version 1", GOOD, 422, 0),
        ("absent", GOOD, 404, 1),
        ("there", BAD, 422, 1),
        ("absent", BAD, 404, 1),
        ("no UUID", BAD, 422, 0),
        ("there", "", 422, 1),
        ("absent", "", 404, 1),
        ("there", BROKEN, 422, 0),
        ("absent", BROKEN, 422, 0),
    ],
)
def test_order(
    running: Checked, post_id: str, which: str, body: str, status: int, queries: int
) -> None:
    ids = {"there": post_id, "absent": uuid4(), "no UUID": "oops", "version 1": uuid1()}
    headers = {"content-type": "application/json"}
    answer, log = running.ask("PUT", f"/posts/{ids[which]}", content=body, headers=headers)
    assert (answer.status_code, len(log.queries), log.status) == (status, queries, status)


def test_several_faults_are_listed_together(running: Checked) -> None:
    answer = running.client.put("/posts/oops", json={"title": ""})
    assert [tuple(one["loc"][:1]) for one in answer.json()["detail"]] == [("path",), ("body",)]


def test_a_dependency_that_takes_the_body_is_not_called_for_an_invalid_one(
    running: Checked,
) -> None:
    for path in ("/dependency", "/users"):
        answer, log = running.ask("POST", path, json={"email": "no address"})
        assert (answer.status_code, log.queries) == (422, ())


def test_without_an_address_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAB_DATABASE_URL", raising=False)
    with pytest.raises(RuntimeError, match="LAB_DATABASE_URL is not set"), serve(create_app()):
        pass


def test_is_imported_without_a_database_or_the_variable() -> None:
    module, _, _ = SPECIMEN.partition(":")
    code = f"import os; os.environ.pop('LAB_DATABASE_URL', None); import {module}"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def start(url: str) -> int:
    """Start the app by its name in a process of its own; the status of a route of it."""
    with (
        Process({"LAB_DATABASE_URL": url}) as home,
        serve(SPECIMEN, where=home) as server,
    ):
        return httpx.get(f"{server.url}/posts/{uuid4()}").status_code


def test_processes_that_start_together_make_the_tables_once() -> None:
    with postgres.database().schema() as empty:
        with ThreadPoolExecutor() as pool:
            assert list(pool.map(start, [empty.url] * 3)) == [404] * 3
        assert start(empty.url) == 404
        with psycopg.connect(empty.url) as db:
            count = "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()"
            assert db.execute(count).fetchone() == (4,)


@needs_proc
def test_leaves_nothing() -> None:
    with checked():
        pass  # the load worker and the database stay
    with no_leftovers(5):
        for _ in range(2):
            with checked() as running:
                assert running.client.post("/users", json={"email": "a@b"}).status_code == 201
