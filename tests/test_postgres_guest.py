"""A guest on another's server: it leaves what it found."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from postgres_targets import (
    BUSY,
    READY,
    SQL_LISTING,
    TABLES,
    WAITS,
    answer,
    bystander,
    check_empty,
    check_killed,
    kernel,
    needs_embedded,
    own_shelf,
    says,
    schema_of,
)

from lab_apps.instruments import postgres
from lab_apps.instruments.postgres import PostgresError, database, stop

pytestmark = needs_embedded


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with own_shelf(monkeypatch) as folder:
        yield folder


@pytest.fixture(scope="module")
def outer() -> Iterator[str]:
    with bystander() as url:
        yield url


def test_guest_leaves_what_it_found(outer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = answer(outer, SQL_LISTING)
    monkeypatch.setenv(postgres.VARIABLE, outer.replace("://", "+psycopg://"))
    one = database()
    assert not one.embedded
    assert database() is one
    name = schema_of(one)
    assert re.fullmatch(rf"lab_{os.getpid()}_[0-9a-f]{{16}}", name)
    answer(one.url, "CREATE TABLE things (id int)")
    with one.schema() as inner:
        assert schema_of(inner).startswith(f"{name}_")
        answer(inner.url, "CREATE TABLE things (id int)")
        assert answer(outer, TABLES) == [(2,)]
    assert answer(outer, TABLES) == [(1,)]
    left = psycopg.connect(one.url)
    left.execute("TABLE things")
    assert answer(outer, SQL_LISTING) != before
    stop()
    left.close()
    assert answer(outer, SQL_LISTING) == before


@pytest.mark.parametrize("script", [READY, WAITS, BUSY], ids=["its end", "a kill", "a busy kill"])
def test_guest_is_gone_after(outer: str, place: Path, script: str) -> None:
    before = answer(outer, SQL_LISTING)
    with kernel(script, place, LAB_DATABASE_URL=outer) as process:
        says(process, 3 if script == BUSY else 2)
        if script == READY:
            process.wait()
        else:
            assert answer(outer, SQL_LISTING) != before
            process.kill()
        check_empty(place)
        assert process.communicate()[1] == ""
    assert answer(outer, SQL_LISTING) == before


@pytest.mark.long
@pytest.mark.parametrize("after_s", [number * 0.03 for number in range(20)])
def test_guest_killed_at_many_moments(outer: str, place: Path, after_s: float) -> None:
    before = answer(outer, SQL_LISTING)
    check_killed(place, after_s, LAB_DATABASE_URL=outer)
    assert answer(outer, SQL_LISTING) == before


@pytest.mark.long
def test_guest_killed_where_no_connection_is_free(outer: str, place: Path) -> None:
    before = answer(outer, SQL_LISTING)
    with kernel(WAITS, place, LAB_DATABASE_URL=outer) as process:
        says(process, 2)
        filling = [psycopg.connect(outer) for _ in range(120)]
        with pytest.raises(psycopg.OperationalError, match="too many clients"):
            psycopg.connect(outer)
        process.kill()
        time.sleep(2)
        for connection in filling:
            connection.close()
        check_empty(place)
    assert answer(outer, SQL_LISTING) == before


@pytest.mark.long
def test_guest_whose_host_is_gone_says_what_it_leaves(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with kernel(WAITS, place) as process:
        monkeypatch.setenv(postgres.VARIABLE, says(process, 2))
        database()
    with pytest.raises(
        PostgresError, match=r"^schema (lab_\w+) is still there: DROP SCHEMA \1 CAS"
    ):
        stop()


def test_server_that_is_too_old_is_left_alone(outer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(postgres.VARIABLE, outer)
    monkeypatch.setattr(postgres, "OLDEST", 99)
    assert re.search(r" is a Postgres 1\d\.\d+; 99 is the oldest$", postgres.lacking())
    with psycopg.connect(outer) as connection:
        count = "SELECT count(*) FROM pg_namespace WHERE starts_with(nspname::text, 'lab_')"
        assert connection.execute(count).fetchone() == (0,)


def test_guest_that_may_make_no_schema(outer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(outer, "CREATE ROLE visitor LOGIN PASSWORD 'xyzzy'")
    monkeypatch.setenv(postgres.VARIABLE, outer.replace("postgres@", "visitor:xyzzy@"))
    with pytest.raises(PostgresError, match="permission denied for database") as caught:
        database()
    assert "xyzzy" not in str(caught.value)
    answer(outer, "DROP ROLE visitor")
