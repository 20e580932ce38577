"""The proxy's count: every round trip once, and whatever was sent together as one."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from helpers import wait_until
from postgres_targets import own_database
from proxied import connect, round_trips

from lab_apps.instruments.proxy import Proxy, delayed


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with own_database() as url:
        yield url


@pytest.fixture(scope="module")
def proxy(url: str) -> Iterator[Proxy]:
    with delayed(url) as proxy:
        yield proxy


@pytest.fixture(autouse=True)
def _no_delay(proxy: Proxy) -> Iterator[None]:
    yield
    proxy.delay_ms = 0


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
