"""Whether this thread asks for a host's address."""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
from collections.abc import Iterator
from typing import Any

# Asked of the system, or of a name server directly, as dnspython does (library: audit events).
EVENTS = {"socket.getaddrinfo", "socket.gethostbyname", "socket.connect", "socket.sendto"}

_recording = threading.local()


@contextlib.contextmanager
def lookups() -> Iterator[list[str]]:
    """What this thread asks of the network while the block runs: "socket.getaddrinfo of …".

    Names to resolve, and connections and datagrams, since a resolver may be written in Python.
    """
    _install()
    found: list[str] = []
    _recording.found = found
    try:
        yield found
    finally:
        _recording.found = None


@functools.cache
def _install() -> None:
    # An audit hook can't be removed: there is one, and it records where it is told to.
    sys.addaudithook(_note)


def _note(event: str, args: tuple[Any, ...]) -> None:
    found = getattr(_recording, "found", None)
    if found is not None and event in EVENTS:
        asked = args[0] if event.startswith("socket.get") else args[1]
        found.append(f"{event} of {asked}")
