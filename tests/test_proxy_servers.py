"""The servers that the proxy leads to: on TCP and byte by byte, or refused for their TLS."""

from __future__ import annotations

import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from helpers import no_leftovers
from proxied import connect, round_trips

from lab_apps.instruments.proxy import delayed
from lab_apps.instruments.server import listener


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
