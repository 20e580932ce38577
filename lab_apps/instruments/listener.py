"""The listening sockets that servers are given."""

from __future__ import annotations

import socket


def listener(port: int = 0) -> socket.socket:
    """A TCP socket bound to `port` of 127.0.0.1, or to a free one. Raises OSError if it is taken.

    Made with IPPROTO_TCP: asyncio sets TCP_NODELAY on accepted connections only where
    `proto == IPPROTO_TCP`, and without it every answer of two writes waits about 40 ms for the
    peer's delayed acknowledgement (Kludex/uvicorn#3149). uvloop sets it in any case.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    return bind(sock, port)


def bind(sock: socket.socket, port: int = 0) -> socket.socket:
    """Bind `sock` to `port` of 127.0.0.1, or to a free one, and return it."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(("127.0.0.1", port))
    except OSError:
        sock.close()
        raise
    return sock
