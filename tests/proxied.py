"""What the tests of the proxy share: connections through it, their count, and its folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from lab_apps.instruments.proxy import Proxy


def connect(proxy: Proxy, autocommit: bool = True) -> psycopg.Connection:
    return psycopg.connect(proxy.url, autocommit=autocommit, prepare_threshold=None)


@contextlib.contextmanager
def round_trips(proxy: Proxy, expected: int) -> Iterator[None]:
    before = proxy.round_trips
    yield
    assert proxy.round_trips - before == expected


def folder(proxy: Proxy) -> Path:
    return Path(str(conninfo_to_dict(proxy.url)["host"]))
