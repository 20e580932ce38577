"""The url that the proxy is given: its hosts, password and options, and the one that comes out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from helpers import wait_until
from postgres_targets import own_database
from proxied import connect, folder, round_trips
from psycopg.conninfo import conninfo_to_dict

from lab_apps.instruments import postgres
from lab_apps.instruments.proxy import delayed


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with own_database() as url:
        yield url


@pytest.mark.parametrize("target", ["postgresql:///postgres", "dbname=postgres", ""])
def test_host_and_port_from_the_environment(
    url: str, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = conninfo_to_dict(url)
    for name in ("host", "port", "user"):
        monkeypatch.setenv(f"PG{name.upper()}", str(given[name]))
    monkeypatch.setenv("PGDATABASE", "postgres")
    with delayed(target) as proxy:
        monkeypatch.setenv("PGHOST", "/elsewhere")
        monkeypatch.setenv("PGHOSTADDR", "127.0.0.9")  # doesn't lead past the proxy
        with round_trips(proxy, 1), connect(proxy) as connection:
            connection.execute("SELECT 1")


def test_several_hosts(url: str) -> None:
    given = conninfo_to_dict(url)
    several = f"postgresql://{given['user']}@/postgres?host=/no/such,{given['host']}&port=5432"
    with delayed(several) as proxy, round_trips(proxy, 1), connect(proxy) as connection:
        connection.execute("SELECT 1")


@pytest.fixture(scope="module")
def protected(url: str) -> Iterator[str]:
    """A role that needs a password, in a rule of its own."""
    if not postgres.database().embedded:
        pytest.skip("the rules for logins are another's")
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute("SHOW hba_file").fetchone()
        assert row is not None
        rules = Path(row[0])
        before = rules.read_text()
        connection.execute("CREATE ROLE locked LOGIN PASSWORD 'p@ss w/rd'")
        rules.write_text(f"local all locked scram-sha-256\n{before}")
        connection.execute("SELECT pg_reload_conf()")
        given = conninfo_to_dict(url) | {"user": "locked"}
        target = " ".join(f"{name}={given[name]}" for name in ("host", "port", "user", "dbname"))
        yield target
        rules.write_text(before)
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("DROP ROLE locked")


@pytest.mark.parametrize("source", ["PGPASSWORD", "PGPASSFILE"])
def test_password_from_elsewhere(
    protected: str, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = conninfo_to_dict(protected)
    passwords = tmp_path / "pgpass"
    passwords.write_text(f"{given['host']}:{given['port']}:*:locked:p@ss w/rd\n")
    passwords.chmod(0o600)
    kept = {"PGPASSWORD": "p@ss w/rd", "PGPASSFILE": str(passwords)}
    none = pytest.raises(ConnectionError, match="no password supplied")
    assert wait_until(lambda: refused(protected), 5)  # the rule is read a little later
    with none, delayed(protected):
        pass
    monkeypatch.setenv(source, kept[source])
    with delayed(protected) as proxy:
        monkeypatch.delenv(source)
        with round_trips(proxy, 1), connect(proxy) as connection:
            assert connection.execute("SELECT current_user").fetchone() == ("locked",)


def refused(target: str) -> bool:
    try:
        psycopg.connect(target).close()
    except psycopg.OperationalError:
        return True
    return False


def test_a_folder_with_a_long_name(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setenv("TMPDIR", str(long))
    with pytest.raises(OSError, match="a shorter TMPDIR helps"), delayed(url):
        pass
    assert wait_until(lambda: not list(long.iterdir()), 5)


def test_all_else_of_the_url_is_kept(url: str) -> None:
    given = f"{url}&application_name=a%20b&password=p%40ss%2Fw%3Ard%25&options=-csearch_path%3Dx,y"
    with delayed(given, 1) as proxy:
        parts = conninfo_to_dict(proxy.url)
        assert parts == conninfo_to_dict(given) | {
            "host": str(folder(proxy)),
            "hostaddr": "",
            "sslmode": "disable",
            "gssencmode": "disable",
        }
        with connect(proxy) as connection:
            row = connection.execute("SHOW search_path").fetchone()
            assert row == ("x,y",)
            assert connection.info.parameter_status("application_name") == "a b"
