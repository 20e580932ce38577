"""A uvicorn server for one experiment: in this process's thread, or in a process of its own."""

from __future__ import annotations

import contextlib
import gc
import socket
from collections.abc import Iterator
from typing import Literal, TypeAlias

from lab_apps.instruments.app import App, ASGIApp
from lab_apps.instruments.listener import bind, listener
from lab_apps.instruments.process import Process
from lab_apps.instruments.thread import Loop, Server, ThreadServer

__all__ = ["ASGIApp", "App", "Loop", "Process", "Server", "Where", "bind", "listener", "serve"]

Where: TypeAlias = Literal["thread", "process"] | Process


@contextlib.contextmanager
def serve(
    app: App,
    *,
    where: Where = "thread",
    loop: Loop = "auto",
    tokens: int | None = None,
    probe: bool = False,
    sock: socket.socket | None = None,
) -> Iterator[Server]:
    """Serve `app` on a free port of 127.0.0.1 while the block runs; yield the `Server`.

    `app` is an ASGI app, a function that makes one, or "module:name" of either; a server in a
    process needs the latter. `where` is "thread", "process" for a fresh one, or a `Process` that
    is kept for the next server. `tokens` sets the size of AnyIO's thread pool (40 by default),
    `probe` starts the event-loop probe, `sock` replaces `listener()`. The loop is uvicorn's choice
    ("auto": uvloop where installed).

    Raises ValueError for what is no app, and for a `Process` that serves already; what the app's
    lifespan raised, at the start or at the end; TimeoutError when it has not started after 30 s or
    not ended 30 s after the block.
    """
    if where == "thread":
        local = ThreadServer(app, loop, tokens, probe, sock)
        with _notebook_left_out():
            try:
                local.start()
                yield local
            finally:
                local.stop()
        return
    if not isinstance(app, str):
        raise ValueError(f'a server in a process needs "module:name", not {app!r}')
    if sock is not None:
        raise ValueError("a server in a process makes its own socket: leave sock out")
    with contextlib.ExitStack() as stack:
        home = stack.enter_context(Process()) if where == "process" else where
        yield stack.enter_context(home.serve(app, loop, tokens, probe))


@contextlib.contextmanager
def _notebook_left_out() -> Iterator[None]:
    """Let garbage collections pass over what this process holds already.

    A full collection goes through everything: in a notebook's kernel that stops the server's loop
    for some 25 ms, which in a process of its own it would not.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
