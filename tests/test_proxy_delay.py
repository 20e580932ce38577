"""The proxy's delay: a known one in and out, and once for what is sent together."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest
from helpers import attempts
from postgres_targets import own_database
from proxied import connect

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


@pytest.mark.parametrize("delay_ms", [-1, float("inf"), float("nan")])
def test_delays_that_are_none(proxy: Proxy, url: str, delay_ms: float) -> None:
    with pytest.raises(ValueError, match="delay_ms is"):
        proxy.delay_ms = delay_ms
    assert proxy.delay_ms == 0
    with pytest.raises(ValueError, match="delay_ms is"), delayed(url, delay_ms):
        pass
