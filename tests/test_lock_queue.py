"""Who waits while a migration waits, and how that is counted; and the migration that gives way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx
import numpy as np
import psycopg
import pytest
from alembic import command
from migrated import empty
from psycopg.conninfo import make_conninfo
from psycopg.errors import DuplicateColumn, LockNotAvailable, QueryCanceled
from sqlalchemy.exc import OperationalError, ProgrammingError

from lab_apps.instruments import postgres, table_locks
from lab_apps.instruments.load import send
from lab_apps.instruments.schedule import paced
from lab_apps.instruments.server import serve
from lab_apps.instruments.table_locks import Span
from lab_apps.instruments.trial import ROW, Trial
from lab_apps.instruments.wire import Stream
from lab_apps.practices.migrations import application, commands, create_app, patient, schemas

REPORT = "SELECT count(*) FROM posts"
NEVER_AGAIN = -1  # nothing can sleep for so long


@pytest.fixture(scope="module", autouse=True)
def stopped() -> Iterator[None]:
    yield
    postgres.stop()


@pytest.fixture
def url() -> Iterator[str]:
    """A database with the app's tables and posts."""
    with empty("Postgres") as own:
        application.fill(own)
        yield own


def titles(url: str) -> list[str]:
    return [name for name, *_ in schemas.structure(commands.engine(url))["posts"]["columns"]]


def test_routes(url: str) -> None:
    with serve(create_app(url)) as server, httpx.Client(base_url=server.url) as client:
        first = client.get("/posts/1").json()
        assert first["id"] == 1
        assert len(first["text"]) == 32
        assert client.get("/posts/1/star").json() == first
        assert client.get("/users/1").json() == {"id": 1, "email": "ada@example.org"}
        for path in ("/posts/0", "/posts/0/star", "/users/0"):
            assert client.get(path).status_code == 404
        written = client.post("/posts", json={"title": "A title", "text": "A text"})
        assert written.status_code == 201
        post = {"id": application.POSTS + 1, "title": "A title", "text": "A text"}
        assert written.json() == client.get(f"/posts/{post['id']}").json() == post
        assert client.post("/posts", json={"title": "A title"}).status_code == 422


def test_an_app_starts_once_and_says_what_it_lacks(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its posts are there once; the new app is refused by the old schema, with Postgres's word."""
    monkeypatch.setenv("LAB_DATABASE_URL", url)
    with serve(create_app()), serve(create_app(column="content")) as server:
        answer = httpx.get(f"{server.url}/posts/1")
    assert (answer.status_code, answer.json()) == (500, {"sqlstate": "42703"})
    assert len(schemas.contents(commands.engine(url))["posts"]) == application.POSTS
    monkeypatch.delenv("LAB_DATABASE_URL")
    with pytest.raises(RuntimeError, match="LAB_DATABASE_URL is not set"), serve(create_app()):
        pass


def around(url: str, migrate: Callable[[], Any], report: str) -> tuple[Trial, Span]:
    """Readers through the app while that migrates behind that report, which ends 0.5 s later."""
    readers = Stream("posts", "/posts/1", paced(60, 1.2)), Stream("users", "/users/1", paced(30, 1))
    with serve(create_app(url)) as server, ThreadPoolExecutor(1) as threads:
        send(server.url, Stream("first", "/posts/1", paced(60, 0.05)))
        behind = partial(table_locks.behind, url, migrate, report=report)
        span = threads.submit(behind, seconds=0.5, after_s=0.3)
        trial = send(server.url, *readers)
        return trial, span.result()


def upgrade(url: str, lock_timeout_ms: int) -> Callable[[], tuple[int, ...]]:
    config = commands.config(url, "subtitle")
    return partial(patient.upgrade, config, lock_timeout_ms=lock_timeout_ms, pause_ms=100)


def check_nobody_is_answered(url: str, report: str = REPORT) -> None:
    trial, span = around(url, upgrade(url, 0), report)
    good, due = table_locks.answered(trial.stream("posts"), span)
    assert due > 5
    assert good == 0
    assert table_locks.silence_ms(trial.stream("posts"), span) == pytest.approx(span.seconds * 1e3)
    assert trial.errors == {}  # all of them are, afterwards
    assert len(span.result) == 1
    assert span.begun_ns < span.ended_ns < span.result[0] <= span.returned_ns
    assert "subtitle" in titles(url)


def test_nobody_is_answered_behind_a_report(url: str) -> None:
    check_nobody_is_answered(url)


def test_a_pool_of_those_who_wait_keeps_others_waiting(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application, "POOL", 2)
    trial, span = around(url, upgrade(url, 0), REPORT)
    good, due = table_locks.answered(trial.stream("users"), span, first=0.5)
    assert due > 2
    assert good == 0


def check_most_are_answered(url: str, lock_timeout_ms: int = 20) -> None:
    trial, span = around(url, upgrade(url, lock_timeout_ms), REPORT)
    good, due = table_locks.answered(trial.stream("posts"), span)
    assert due > 5
    assert good > due / 2
    assert len(span.result) > 1
    assert list(span.result) == sorted(span.result)
    assert span.result[-2] < span.result[-1]
    assert span.result[-1] > span.ended_ns
    assert trial.errors == {}
    assert "subtitle" in titles(url)


def test_most_are_answered_with_a_lock_timeout(url: str) -> None:
    check_most_are_answered(url)


def test_checks_see_the_other_one(url: str) -> None:
    """Without a report all are answered; without a limit none."""
    with pytest.raises(AssertionError):
        check_nobody_is_answered(url, report="")
    command.downgrade(commands.config(url, "subtitle"), "-1")
    with pytest.raises(AssertionError):
        check_most_are_answered(url, lock_timeout_ms=0)


def schema(url: str) -> str:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT current_schema()").fetchone()
    assert row is not None
    return str(row[0])


def test_patience_ends(url: str) -> None:
    """After so many attempts, and at once where it is not the lock that is lacking."""
    config = commands.config(url, "subtitle")
    with table_locks.transaction(url, REPORT), pytest.raises(OperationalError) as caught:
        patient.upgrade(config, lock_timeout_ms=10, pause_ms=1, attempts=3)
    assert isinstance(caught.value.orig, LockNotAvailable)
    also = f"-csearch_path={schema(url)} -cstatement_timeout=50"
    config.attributes["url"] = make_conninfo(url, options=also)
    with table_locks.transaction(url, REPORT), pytest.raises(OperationalError) as caught:
        patient.upgrade(config, lock_timeout_ms=0, pause_ms=NEVER_AGAIN)
    assert isinstance(caught.value.orig, QueryCanceled)
    with psycopg.connect(url) as connection:
        connection.execute("ALTER TABLE posts ADD COLUMN subtitle text")
    with pytest.raises(ProgrammingError) as raised:
        patient.upgrade(config, lock_timeout_ms=10, pause_ms=NEVER_AGAIN)
    assert isinstance(raised.value.orig, DuplicateColumn)
    assert "connection" not in config.attributes


def building(url: str, how: str) -> tuple[Trial, Span]:
    """New posts while an index is built on a table that takes a moment."""
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO posts (creator_id, title, body)"
            " SELECT 1, repeat(md5(n::text), 20), '' FROM generate_series(1, 30000) AS n"
        )
    statement = f"CREATE INDEX {how} posts_title_idx ON posts (md5(repeat(title, 10)))"
    body, headers = b'{"title":"new","text":"new"}', (("Content-Type", "application/json"),)
    form = {"method": "POST", "headers": headers, "body": body, "expect_status": 201}
    writers = Stream("writers", "/posts", paced(100, 1.5), **form)  # type: ignore[arg-type]
    with serve(create_app(url)) as server, ThreadPoolExecutor(1) as threads:
        span = threads.submit(table_locks.building, url, statement, after_s=0.3)
        return send(server.url, writers), span.result()


@pytest.mark.parametrize("how", ["", "CONCURRENTLY"])
def test_writers_beside_an_index(url: str, how: str) -> None:
    trial, span = building(url, how)
    good, due = table_locks.answered(trial, span)
    assert due > 3
    assert (good > due / 3) if how else (good == 0)
    assert trial.errors == {}


def test_a_build_waits_for_strangers_so_long(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a transaction of another schema too, and no longer than that."""
    monkeypatch.setattr(table_locks, "BUILD_S", 0.3)
    statement = "CREATE INDEX CONCURRENTLY posts_title_idx ON posts (title)"
    older = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT 1"
    with (
        empty("Postgres") as other,
        table_locks.transaction(other, older),
        pytest.raises(QueryCanceled),
    ):
        table_locks.building(url, statement, after_s=0)


def test_seen_says_what_it_has_not_seen(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_locks, "TIMEOUT_S", 0.05)
    with pytest.raises(TimeoutError, match="no ShareLock, granted=True"):
        table_locks.seen(url, "ShareLock", granted=True)
    with table_locks.transaction(url, "LOCK TABLE posts IN SHARE MODE"):
        assert table_locks.seen(url, "ShareLock", granted=True)
        with empty("Postgres") as other, pytest.raises(TimeoutError):
            table_locks.seen(other, "ShareLock", granted=True)


def made(*requests: tuple[float, float, str]) -> Trial:
    """A trial of requests, each sent and answered at so many ms."""
    rows = np.zeros(len(requests), ROW)
    for row, (sent_ms, done_ms, error) in zip(rows, requests, strict=True):
        row["intended_ns"] = row["sent_ns"] = sent_ms * 1e6
        row["done_ns"], row["error"] = done_ms * 1e6, error
    return Trial(rows, ("posts",), 0, 1.0, 0.0, 0.0)


SPAN = Span(100_000_000, 200_000_000, 210_000_000, None)


def test_answered_counts_what_was_sent_and_answered_within() -> None:
    trial = made(
        (90, 150, ""),  # sent before
        (110, 120, ""),
        (120, 130, "status"),
        (130, 140, ""),
        (160, 190, ""),
        (190, 201, ""),  # answered after
        (205, 206, ""),  # sent after
    )
    assert table_locks.answered(trial, SPAN) == (3, 5)
    assert table_locks.answered(trial, SPAN, first=0.5) == (1, 2)
    assert SPAN.seconds == 0.1


def load(*due_ms: float, lag_ms: float = 0.0) -> Trial:
    """A trial of requests due then, the last but one sent so late."""
    trial = made(*((ms, ms + 1, "") for ms in due_ms))
    trial.rows["sent_ns"][-2] += int(lag_ms * 1e6)
    return trial


EVEN = [101.0, *range(110, 210, 10)]


@pytest.mark.parametrize(
    ("trial", "how", "why"),
    [
        (load(*EVEN), {"least": 10}, ""),
        (load(*EVEN), {"least": 11}, "10 requests were sent in the 0.10 s, 11 are needed"),
        (load(*EVEN), {}, "10 requests were sent in the 0.10 s, 20 are needed"),
        (load(90, 201), {"least": 0}, ""),
        (load(110, 150, 290, lag_ms=101), {"least": 1}, "a request was sent 101 ms late, over 100"),
        (load(90, 205, 300, lag_ms=500), {"least": 0}, ""),  # due after it
        (load(80, 90), {"least": 0}, "the load ended 110 ms before the span"),
        (load(80, 90), {"least": 0, "whole": False}, ""),
    ],
)
def test_disturbance(trial: Trial, how: dict[str, Any], why: str) -> None:
    assert table_locks.disturbance(trial, SPAN, **how) == why


@pytest.mark.parametrize(
    ("answers", "longest_ms"),
    [((), 100), ((110, 120, 190), 70), ((150,), 50), ((260,), 100), ((110, 130, 150, 180), 30)],
)
def test_silence(answers: tuple[float, ...], longest_ms: float) -> None:
    trial = made((99, 101, ""), (105, 155, "closed"), *((105, at, "") for at in answers))
    assert table_locks.silence_ms(trial, SPAN) == pytest.approx(longest_ms)
