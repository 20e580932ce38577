"""Schemas of the database: apart, reached by every client, and dropped however their block ends."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import psycopg_pool
import pytest
import sqlalchemy
from postgres_targets import HERE, TABLES, answer, bystander, needs_embedded, own_shelf, schema_of

from lab_apps.instruments import postgres_watch
from lab_apps.instruments.postgres import Database, PostgresError

SCHEMAS = "SELECT nspname FROM pg_namespace WHERE starts_with(nspname::text, 'lab_')"

pytestmark = needs_embedded


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with own_shelf(monkeypatch) as folder:
        yield folder


@pytest.fixture(scope="module")
def outer() -> Iterator[str]:
    with bystander() as url:
        yield url


@pytest.fixture
def own(outer: str) -> Database:
    """A database as the process has it that runs the server."""
    return Database(outer, "18.4", True, 0.1, "lab")


@pytest.mark.parametrize("within", ["the database", "a schema"])
def test_every_client_takes_the_url(own: Database, within: str) -> None:
    with own.schema() as inner:
        one, here = (inner, schema_of(inner)) if within == "a schema" else (own, "public")
        pool = psycopg_pool.ConnectionPool(one.url, min_size=1, open=True)
        with pool, pool.connection() as connection:
            assert connection.execute(HERE).fetchall() == [(here,)]
        engine = sqlalchemy.create_engine(one.sqlalchemy_url)
        with engine.connect() as other:
            assert other.scalar(sqlalchemy.text(HERE)) == here
        engine.dispose()


def test_environment_does_not_lead_elsewhere(
    own: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in [("PGPORT", "1"), ("PGHOST", "nowhere"), ("PGOPTIONS", "-csearch_path=x")]:
        monkeypatch.setenv(name, value)
    with own.schema() as inner:
        assert schema_of(inner).startswith(f"lab_{os.getpid()}_")


def test_schemas_are_apart_and_dropped(own: Database) -> None:
    with own.schema() as one, own.schema() as two:
        assert all(re.fullmatch(rf"lab_{os.getpid()}_\d+", schema_of(it)) for it in (one, two))
        for it in (one, two):
            answer(it.url, "CREATE TABLE things (id int)")
        assert answer(own.url, TABLES) == [(2,)]
        assert (one.version, one.embedded) == (own.version, True)
    assert answer(own.url, SCHEMAS) == []


def test_schema_is_dropped_after_an_exception(own: Database) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero), own.schema() as one:
        answer(one.url, "SELECT 1 / 0")
    assert answer(own.url, SCHEMAS) == []


def test_transaction_left_open_does_not_keep_a_schema(own: Database) -> None:
    with own.schema() as one:
        left = psycopg.connect(one.url)
        left.execute("CREATE TABLE things (id int)")
    assert answer(own.url, SCHEMAS) == []
    with pytest.raises(psycopg.OperationalError):
        left.execute("SELECT 1")
    left.close()


@pytest.mark.long
def test_lock_of_another_is_an_error_and_not_a_wait(own: Database) -> None:
    other = psycopg.connect(own.url)
    block = own.schema()
    one = block.__enter__()
    answer(one.url, "CREATE TABLE things (id int)")
    other.execute(f"TABLE {schema_of(one)}.things".encode())
    begun = time.monotonic()
    with pytest.raises(PostgresError, match=r"lab_\d+_\d+ is still there: .*lock"):
        block.__exit__(None, None, None)
    assert time.monotonic() - begun < 30
    other.close()
    postgres_watch.drop(own.url, schema_of(one) or one.url.rpartition("=")[2])
