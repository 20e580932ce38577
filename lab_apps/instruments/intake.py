"""What a server has taken in before it answers: bytes, counted on both sides."""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from lab_apps.instruments.app import App, load

PIECE = 2**16
TIMEOUT_S = 10.0
BOUNDARY = "a-boundary-that-occurs-in-no-body"


class Intake:
    """An ASGI app around another, which counts what that takes in; serve it in a thread.

    `taken` has for each answered request the number of bytes of its body that the app had asked the
    server for, and got, when it began its answer.
    """

    def __init__(self, app: App) -> None:
        self._app = load(app)
        self.taken: list[int] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        size = 0

        async def counted() -> Any:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            return message

        async def noted(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.taken.append(size)
            await send(message)

        await self._app(scope, counted, noted)


@dataclass(frozen=True)
class Answer:
    """The status a request was answered with, how much of its body the client had handed over to
    the kernel by then, in bytes, and whether the server had asked for the body (`Expect`)."""

    status: int
    handed_bytes: int
    asked: bool


def offer(
    url: str,
    path: str,
    body: bytes,
    *,
    headers: tuple[tuple[str, str], ...] = (),
    chunked: bool = False,
    ask_first: bool = False,
    stops: bool = True,
) -> Answer:
    """POST `body` as fast as it is taken, and stop when there is an answer.

    With `stops=False` go on until all of it is handed over or the server closes the connection,
    which is then one that would be kept open.

    What is in the socket buffers of both sides counts as handed over, up to some MiB. `chunked`
    declares no length. `ask_first` sends `Expect: 100-continue` and no body until the server asks
    for it (RFC 9110, 10.1.1), as curl does with more than 1 MiB. Raises TimeoutError where nothing
    happens for 10 s, ConnectionError where the server closes without an answer.
    """
    parts = urlsplit(url)
    length = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(len(body)))
    expect = (("Expect", "100-continue"),) if ask_first else ()
    close = (("Connection", "close"),) if stops else ()
    fields = (("Host", parts.netloc), *close, length, *expect, *headers)
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields), "", ""]
    status, handed, asked, received = 0, 0, False, b""
    with socket.create_connection((parts.hostname or "", parts.port or 80), TIMEOUT_S) as sock:
        sock.sendall("\r\n".join(lines).encode())
        sock.setblocking(False)
        pieces = _chunks(body) if chunked else _pieces(body)
        piece, waiting = memoryview(b""), ask_first
        while not status or not stops:
            if not waiting and not piece:
                piece = next(pieces, memoryview(b""))
            if status and not piece:
                break
            readable, writable, _ = select.select([sock], [sock] if piece else [], [], TIMEOUT_S)
            if not readable and not writable:
                raise TimeoutError(f"{path}: nothing happened for {TIMEOUT_S:g} s")
            if readable:
                more = _receive(sock)
                received += more
                while not status and b"\r\n\r\n" in received:  # the end of a head
                    code = int(received.split(None, 2)[1])
                    if code >= 200:
                        status = code
                    else:
                        _, _, received = received.partition(b"\r\n\r\n")
                        waiting, asked = False, True
                if not more and status:
                    break
                if not more:
                    raise ConnectionError(f"{path}: closed without an answer")
            elif writable:
                with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
                    sent = sock.send(piece)
                    handed, piece = handed + sent, piece[sent:]
    return Answer(status, min(handed, len(body)), asked)


def multipart(content: bytes, name: str = "file", filename: str = "upload.bin") -> bytes:
    """A body of one file, with the content type that `multipart_type()` gives."""
    head = [
        f"--{BOUNDARY}",
        f'Content-Disposition: form-data; name="{name}"; filename="{filename}"',
        "Content-Type: application/octet-stream",
        "",
        "",
    ]
    return "\r\n".join(head).encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()


def multipart_type() -> tuple[str, str]:
    """The header that belongs to `multipart`."""
    return "Content-Type", f"multipart/form-data; boundary={BOUNDARY}"


def _pieces(body: bytes) -> Iterator[memoryview]:
    view = memoryview(body)
    return (view[at : at + PIECE] for at in range(0, len(body), PIECE))


def _chunks(body: bytes) -> Iterator[memoryview]:
    for piece in _pieces(body):
        yield memoryview(b"%x\r\n" % len(piece) + bytes(piece) + b"\r\n")
    yield memoryview(b"0\r\n\r\n")


def _receive(sock: socket.socket) -> bytes:
    try:
        return sock.recv(PIECE)
    except ConnectionResetError:
        return b""
