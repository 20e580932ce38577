"""The proxy to Postgres: a known delay in and out, every round trip counted, nothing left."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from helpers import attempts, children, needs_proc, no_leftovers, runs, wait_until
from psycopg.conninfo import conninfo_to_dict

from lab_apps.instruments import postgres
from lab_apps.instruments.child import ChildError
from lab_apps.instruments.proxy import Proxy, delayed
from lab_apps.instruments.server import listener


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    if missing := postgres.why_not():
        pytest.skip(missing)
    yield postgres.database().url
    postgres.stop()


@pytest.fixture(scope="module")
def proxy(url: str) -> Iterator[Proxy]:
    with delayed(url) as proxy:
        yield proxy


@pytest.fixture(autouse=True)
def _no_delay(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "proxy" in request.fixturenames:
        request.getfixturevalue("proxy").delay_ms = 0


def connect(proxy: Proxy, autocommit: bool = True) -> psycopg.Connection:
    return psycopg.connect(proxy.url, autocommit=autocommit, prepare_threshold=None)


@contextlib.contextmanager
def round_trips(proxy: Proxy, expected: int) -> Iterator[None]:
    before = proxy.round_trips
    yield
    assert proxy.round_trips - before == expected


def folder(proxy: Proxy) -> Path:
    return Path(str(conninfo_to_dict(proxy.url)["host"]))


# The count.


def test_a_login_is_a_connection_and_no_round_trip(proxy: Proxy) -> None:
    before = proxy.connections
    for number in range(3):
        with round_trips(proxy, 0), connect(proxy):
            assert proxy.connections == before + number + 1


def test_each_statement_in_autocommit_is_one(proxy: Proxy) -> None:
    with connect(proxy) as connection:
        for count in (1, 2, 17):
            with round_trips(proxy, count):
                for number in range(count):
                    row = connection.execute("SELECT %s::int", [number]).fetchone()
                    assert row == (number,)
        with round_trips(proxy, 1), pytest.raises(psycopg.errors.DivisionByZero):
            connection.execute("SELECT 1/0")
        with round_trips(proxy, 1):
            connection.execute("SELECT 1; SELECT 2")


def test_a_transaction_is_two_more(proxy: Proxy) -> None:
    with connect(proxy, autocommit=False) as connection:
        with round_trips(proxy, 5 + 2):
            for _ in range(5):
                connection.execute("SELECT 1")
            connection.commit()
        with round_trips(proxy, 2 + 2 + 2), connection.transaction():  # and a savepoint's two
            connection.execute("SELECT 1")
            with connection.transaction():
                connection.execute("SELECT 1")
        with round_trips(proxy, 0):
            connection.commit()


def test_what_is_sent_together_is_one(proxy: Proxy) -> None:
    with connect(proxy) as connection:
        with round_trips(proxy, 1), connection.pipeline():
            cursors = [connection.execute("SELECT %s::int", [number]) for number in range(20)]
        assert [cursor.fetchone() for cursor in cursors] == [(number,) for number in range(20)]
        connection.execute("CREATE TEMPORARY TABLE many (number int)")
        with round_trips(proxy, 1):
            connection.cursor().executemany(
                "INSERT INTO many VALUES (%s)", [[n] for n in range(99)]
            )
        assert connection.execute("SELECT count(*) FROM many").fetchone() == (99,)


def test_preparing_and_copying_in_are_one_more(proxy: Proxy) -> None:
    with psycopg.connect(proxy.url, autocommit=True) as connection:  # prepares at the sixth
        with round_trips(proxy, 8 + 1):
            for _ in range(8):
                connection.execute("SELECT 1")
        connection.execute("CREATE TEMPORARY TABLE copied (number int)")
        cursor = connection.cursor()
        with round_trips(proxy, 2), cursor.copy("COPY copied FROM STDIN") as copy:
            for number in range(1000):
                copy.write_row([number])
        with round_trips(proxy, 1), cursor.copy("COPY copied TO STDOUT") as copy:
            assert sum(1 for _ in copy.rows()) == 1000


def test_many_connections_at_once(proxy: Proxy) -> None:
    """Fifty, half of them of asyncio, with 20 statements each."""

    def work(number: int) -> None:
        with connect(proxy) as connection:
            for _ in range(20):
                assert connection.execute(f"SELECT {number}").fetchone() == (number,)

    async def work_async(number: int) -> None:
        connecting = psycopg.AsyncConnection.connect(
            proxy.url, autocommit=True, prepare_threshold=None
        )
        async with await connecting as connection:
            for _ in range(20):
                cursor = await connection.execute(f"SELECT {number}")
                assert await cursor.fetchone() == (number,)

    async def all_async() -> None:
        await asyncio.gather(*map(work_async, range(25)))

    before = proxy.connections
    with round_trips(proxy, 50 * 20), ThreadPoolExecutor(25) as pool:
        others = pool.map(work, range(25))
        asyncio.run(all_async())
        list(others)
    assert proxy.connections == before + 50


def test_much_data_keeps_its_order(proxy: Proxy) -> None:
    """Some 10 MB each way, also while the delay changes."""
    text = "".join(map(str, range(1_500_000)))
    over = threading.Event()

    def change() -> None:
        for delay_ms in itertools.cycle([3, 0, 1]):
            proxy.delay_ms = delay_ms
            if over.wait(0.01):
                return

    changer = threading.Thread(target=change)
    changer.start()
    try:
        with connect(proxy) as connection:
            cursor = connection.execute("SELECT md5(%s), %s", [text, text])
            digest, back = cursor.fetchone() or ("", "")
    finally:
        over.set()
        changer.join()
    assert back == text
    assert digest == hashlib.md5(text.encode()).hexdigest()


def test_a_request_to_cancel_passes(proxy: Proxy) -> None:
    with connect(proxy) as connection, ThreadPoolExecutor(1) as pool:
        before = proxy.connections
        with round_trips(proxy, 1):
            sleeping = pool.submit(connection.execute, "SELECT pg_sleep(60)")
            active = psycopg.pq.TransactionStatus.ACTIVE
            assert wait_until(lambda: connection.info.transaction_status == active, 5)
            time.sleep(0.1)  # it is with the server
            connection.cancel_safe()
            assert isinstance(sleeping.exception(10), psycopg.errors.QueryCanceled)
        assert proxy.connections == before
        assert connection.execute("SELECT 1").fetchone() == (1,)


# A server of our own, over TCP, that says each thing byte by byte.


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


READY = message(b"Z", b"I")
LOGIN = message(b"R", bytes(4)) + message(b"S", b"client_encoding\0UTF8\0") + READY


def converse(sock: socket.socket, queries: int) -> None:
    """A login to look, and one with a number of simple queries without a result."""
    notice = message(b"N", b"SNOTICE\0VNOTICE\0C00000\0MZZZZZ\0\0")  # a body full of Z
    done = notice + message(b"C", b"SELECT 0\0") + READY
    for count in (0, queries):
        connection, _ = sock.accept()
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for answer in (LOGIN, *[done] * count):
                assert connection.recv(4096)
                for byte in answer:
                    connection.sendall(bytes([byte]))
                    time.sleep(0.001)


def test_messages_in_pieces_and_a_server_on_tcp() -> None:
    with listener() as sock, ThreadPoolExecutor(1) as pool:
        sock.listen()
        sock.settimeout(10)
        served = pool.submit(converse, sock, 3)
        host, port = sock.getsockname()
        with delayed(f"postgresql://user@{host}:{port}/name") as proxy:
            with connect(proxy) as connection, round_trips(proxy, 3):
                for _ in range(3):
                    connection.execute("SELECT")
            assert proxy.connections == 1
        served.result(10)


def refuse_plain(sock: socket.socket) -> None:
    """Refuse who doesn't ask for TLS first, as `hostssl` alone does; then let one in."""
    refusal = message(b"E", b"SFATAL\0VFATAL\0C28000\0Mno encryption\0\0")
    for answers in ([refusal], [b"N", LOGIN]):
        connection, _ = sock.accept()
        with connection:
            for answer in answers:
                assert connection.recv(4096)
                connection.sendall(answer)
            connection.recv(4096)


def test_a_server_that_takes_tls_alone() -> None:
    with listener() as sock, ThreadPoolExecutor(1) as pool:
        sock.listen()
        sock.settimeout(10)
        served = pool.submit(refuse_plain, sock)
        host, port = sock.getsockname()
        target = f"postgresql://user@{host}:{port}/name?gssencmode=disable"
        says = pytest.raises(ValueError, match=r"refuses sslmode=.*unset LAB_")
        with no_leftovers(), says, delayed(target):
            pass
        served.result(10)


# The delay.


def fastest_ms(connection: psycopg.Connection, count: int = 15) -> float:
    """What other work on the machine adds is in the others."""

    def once() -> float:
        begun = time.perf_counter()
        connection.execute("SELECT 1")
        return (time.perf_counter() - begun) * 1e3

    return min(once() for _ in range(count))


def check_slope(proxy: Proxy, set_delay: Callable[[float], None]) -> None:
    """A known delay is what a round trip grows by: from 0 to 5 and to 20 ms, on one connection."""
    with connect(proxy) as connection:
        times_ms = []
        for delay_ms in (0, 5, 20):
            set_delay(delay_ms)
            times_ms.append(fastest_ms(connection))
    none, five, twenty = times_ms
    assert none < five < twenty
    assert 0.9 < (twenty - five) / 15 < 1.2
    assert 0.9 < (five - none) / 5 < 1.4


def test_known_delay(proxy: Proxy) -> None:
    attempts(check_slope, proxy, lambda delay_ms: setattr(proxy, "delay_ms", delay_ms))


@pytest.mark.parametrize("factor", [0, 0.6, 1.6])
def test_check_sees_another_delay(proxy: Proxy, factor: float) -> None:
    with pytest.raises(AssertionError):
        attempts(check_slope, proxy, lambda ms: setattr(proxy, "delay_ms", ms * factor))


def check_together(proxy: Proxy, together: bool) -> None:
    """Twenty statements sent in one go take the delay once; one by one, each takes it."""
    delay_ms, count = 40, 20
    with connect(proxy) as connection:
        connection.execute("SELECT 1")
        proxy.delay_ms = delay_ms
        begun = time.perf_counter()
        with connection.pipeline() if together else contextlib.nullcontext():
            for _ in range(count):
                connection.execute("SELECT 1")
        delays = (time.perf_counter() - begun) * 1e3 / delay_ms
    assert delays >= (1 if together else count)
    assert delays < (4 if together else count * 1.5)


@pytest.mark.parametrize("together", [True, False])
def test_what_is_sent_together_is_delayed_once(proxy: Proxy, together: bool) -> None:
    attempts(check_together, proxy, together)


# What it is given.


@pytest.mark.parametrize("delay_ms", [-1, float("inf"), float("nan")])
def test_delays_that_are_none(proxy: Proxy, url: str, delay_ms: float) -> None:
    with pytest.raises(ValueError, match="delay_ms is"):
        proxy.delay_ms = delay_ms
    assert proxy.delay_ms == 0
    with pytest.raises(ValueError, match="delay_ms is"), delayed(url, delay_ms):
        pass


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_tls_is_refused(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    says = f"sslmode={mode}: .* without TLS, or unset LAB_DATABASE_URL"
    target = f"postgresql://a/name?sslmode={mode}"
    with no_leftovers(), pytest.raises(ValueError, match=says), delayed(target):
        pass
    monkeypatch.setenv("PGSSLMODE", mode)
    with no_leftovers(), pytest.raises(ValueError, match=says), delayed("postgresql://a/name"):
        pass


@pytest.mark.parametrize("host", ["/no/such/folder", "127.0.0.1"])
def test_no_server(host: str) -> None:
    with listener() as sock:
        port = sock.getsockname()[1]
    with (
        no_leftovers(),
        pytest.raises(ConnectionError, match=f"no server to lead to: .*{host}.*{port}"),
        delayed(f"host={host} port={port} user=u"),
    ):
        pass


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


# What it leaves.


@needs_proc
def test_it_leaves_nothing(url: str) -> None:
    with delayed(url) as proxy, connect(proxy):
        pass  # what is imported only now is
    with no_leftovers():
        with delayed(url, 1) as proxy:
            where = folder(proxy)
            assert where.stat().st_mode & 0o777 == 0o700
            connection = connect(proxy)
        assert not where.exists()
        with pytest.raises(psycopg.OperationalError):  # the connection went with it
            connection.execute("SELECT 1")
        connection.close()
    for ask in (lambda: proxy.round_trips, lambda: setattr(proxy, "delay_ms", 1)):
        with pytest.raises(ChildError, match="this proxy has stopped"):
            ask()
    proxy.stop()


@needs_proc
def test_it_listens_on_no_tcp_port(url: str) -> None:
    before = children(os.getpid())
    with delayed(url):
        (pid,) = hosts(before)
        links = [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()]
        sockets = {link for link in links if link.startswith("socket:")}
        assert sockets
        tables = [Path(f"/proc/{pid}/net/{name}") for name in ("tcp", "tcp6")]
        rows = [row for table in tables if table.exists() for row in table.read_text().splitlines()]
        assert not sockets & {f"socket:[{row.split()[9]}]" for row in rows if row.split()[9:]}


def hosts(before: set[int]) -> list[int]:
    """The proxies that this process has started since."""
    found = []
    for pid in children(os.getpid()) - before:
        with contextlib.suppress(OSError):  # one that has just ended
            if b"proxy:_host" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


@needs_proc
def test_killed_proxy(url: str) -> None:
    before = children(os.getpid())
    with no_leftovers(), delayed(url) as proxy:
        (pid,) = hosts(before)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(ChildError):
            _ = proxy.round_trips
        assert wait_until(lambda: not folder(proxy).exists(), 5)


def gone_within_s(timeout_s: float, pids: set[int], where: Path) -> bool:
    return wait_until(lambda: not where.exists() and not any(map(runs, pids)), timeout_s)


PARENT = """
import sys, time
from lab_apps.instruments.proxy import delayed
with delayed(sys.argv[1], 1) as proxy:
    print(proxy.url, flush=True)
    time.sleep(60)
"""


@needs_proc
def test_it_ends_when_its_parent_is_killed(url: str) -> None:
    for _ in range(3):
        line = [sys.executable, "-c", PARENT, url]
        parent = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
        assert parent.stdout is not None
        where = Path(str(conninfo_to_dict(parent.stdout.readline().strip())["host"]))
        pids = children(parent.pid)
        assert len(pids) == 2
        assert where.exists()
        parent.kill()
        parent.communicate()
        assert gone_within_s(5, pids, where)
