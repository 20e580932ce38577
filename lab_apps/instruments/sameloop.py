"""A client on the server's own event loop: it stands still while the server does."""

from __future__ import annotations

from lab_apps.instruments.load import TIMEOUT_S
from lab_apps.instruments.sender import send_on_loop
from lab_apps.instruments.server import Server
from lab_apps.instruments.thread import ThreadServer
from lab_apps.instruments.trial import Trial
from lab_apps.instruments.wire import Stream


def send(server: Server, *streams: Stream, warm_up: int = 1) -> Trial:
    """What `load.send` returns, sent from the loop that serves: for a picture of the mistake.

    The sender is the load worker's own, so nothing differs but the loop that it runs on.
    `client_cpu_s` is then that of this whole process. Raises ValueError for a server that is not
    in a thread of this process.
    """
    if not isinstance(server, ThreadServer):
        raise ValueError(f"only a server in a thread shares its loop, not one in {server.where!r}")
    sent = server.on_loop(send_on_loop(server.url, streams, TIMEOUT_S, warm_up))
    return Trial.of(sent, tuple(stream.name for stream in streams))
