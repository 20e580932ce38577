"""The url of another's server: its options stay, and no error tells its password."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from postgres_targets import answer, bystander, needs_embedded, own_shelf

from lab_apps.instruments import postgres
from lab_apps.instruments.postgres import Database, PostgresError, database

pytestmark = needs_embedded


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with own_shelf(monkeypatch) as folder:
        yield folder


@pytest.fixture(scope="module")
def outer() -> Iterator[str]:
    with bystander() as url:
        yield url


def test_own_options_of_the_url_stay(outer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(postgres.VARIABLE, f"{outer}&options=-cgeqo%3Doff%20-cwork_mem%3D5MB")
    with database().schema() as inner:
        for url in (database().url, inner.url):
            assert answer(url, "SHOW geqo") == [("off",)]
            assert answer(url, "SHOW work_mem") == [("5MB",)]


PASSWORDS = ["xyzzy", "xyz@zy", "xyz/zy", "xyz%zy", "xyz:zy", "xyz?zy", "xyz#zy", "x@yz@zy"]
PLACES = ["127.0.0.1:1/lab", "%2Fnowhere/lab", "127.0.0.1:1,[::1]:1/lab"]


@pytest.mark.parametrize("place_of", PLACES)
@pytest.mark.parametrize("password", [*PASSWORDS, quote("x@yz/zy", safe="")])
def test_no_password_in_an_error(
    password: str, place_of: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    forms = [
        f"postgresql://me:{password}@{place_of}",
        f"postgresql+psycopg://me:{password}@{place_of}",
        f"postgresql://me@{place_of}?password={password}",
        f"host=127.0.0.1 port=1 password={password} user=me",
        f"host=127.0.0.1 port=1 user=me password={password} {password}",
        password,
    ]
    for url in forms:
        monkeypatch.setenv(postgres.VARIABLE, url)
        with pytest.raises(PostgresError) as caught:
            database()
        lines = "".join(traceback.format_exception(caught.value))
        assert "zy" not in lines
        assert "xyz" not in lines
        assert "\n" not in str(caught.value)
        assert str(caught.value).startswith(postgres.VARIABLE)


@pytest.mark.parametrize(
    ("url", "says_too"),
    [
        ("postgresql://me:xyzzy@127.0.0.1:1/lab", "me@/lab?host=127.0.0.1&port=1"),
        ("{outer}x&password=xyzzy", "invalid"),
        ("{other}&password=xyzzy", 'database "elsewhere" does not exist'),
        ("{stranger}&password=xyzzy", 'role "stranger" does not exist'),
    ],
)
def test_url_that_cannot_be_used(
    url: str, says_too: str, outer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, stranger = (
        outer.replace("/postgres?", "/elsewhere?"),
        outer.replace("postgres@", "stranger@"),
    )
    monkeypatch.setenv(postgres.VARIABLE, url.format(outer=outer, other=other, stranger=stranger))
    with pytest.raises(PostgresError) as caught:
        database()
    assert says_too in str(caught.value)
    assert "xyzzy" not in str(caught.value)
    assert str(caught.value).endswith(f"unset {postgres.VARIABLE} to have a Postgres started here")


def test_password_is_not_printed() -> None:
    one = Database("postgresql://me:xyzzy@/lab", "18.4", False, 0.1, "lab")
    assert "xyzzy" not in repr(one)
