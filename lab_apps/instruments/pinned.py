"""Several workers, one of them held: which connections are answered meanwhile."""

from __future__ import annotations

import contextlib
import json
import select
import time
from collections import Counter
from collections.abc import Mapping
from http.client import HTTPConnection
from urllib.parse import urlsplit

TIMEOUT_S = 10.0
LEAD_S = 0.1  # for the holder to reach its worker
MOST = 200


def answered_meanwhile(
    url: str,
    *,
    who: str,
    holder: str,
    victim: str,
    wait_s: float,
    open_first: int = 16,
    new: int = 10,
) -> Mapping[str, float]:
    """Shares of connections that are answered while one worker is held.

    Opens `open_first` connections, and more until there are two workers and two connections with
    one of them; asks on each `who` it is with (JSON, "pid"). Sends `holder` to the worker with the
    most connections, and then `victim` on all others and on `new` ones. Counts who has an answer
    `wait_s` later, which must be shorter than the hold. The shares are those of "its own
    connections", "the others' connections" and "new connections". Raises OSError where nobody
    listens, RuntimeError where one process takes all of 200 connections.
    """
    with contextlib.ExitStack() as stack:

        def connect() -> HTTPConnection:
            parts = urlsplit(url)
            connection = HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
            connection.connect()
            return stack.enter_context(contextlib.closing(connection))

        def ask(connection: HTTPConnection) -> int:
            connection.request("GET", who)
            pid: int = json.loads(connection.getresponse().read())["pid"]
            return pid

        opened = [connect() for _ in range(open_first)]
        pids = [ask(connection) for connection in opened]
        while len(set(pids)) < 2 or Counter(pids).most_common(1)[0][1] < 2:
            if len(opened) >= MOST:
                raise RuntimeError(f"{MOST} connections are all with the processes {set(pids)}")
            opened.append(connect())
            pids.append(ask(opened[-1]))
        its_pid = Counter(pids).most_common(1)[0][0]
        held = opened[pids.index(its_pid)]
        others = [(c, pid) for c, pid in zip(opened, pids, strict=True) if c is not held]
        held.request("GET", holder)
        time.sleep(LEAD_S)
        groups = {
            "its own connections": [c for c, pid in others if pid == its_pid],
            "the others' connections": [c for c, pid in others if pid != its_pid],
            "new connections": [connect() for _ in range(new)],
        }
        everyone = [c for group in groups.values() for c in group]
        for connection in everyone:
            connection.request("GET", victim)
        time.sleep(wait_s)
        ready = set(select.select([c.sock for c in everyone], [], [], 0)[0])
        return {
            name: sum(c.sock in ready for c in group) / len(group) for name, group in groups.items()
        }
