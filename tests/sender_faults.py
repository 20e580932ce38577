"""What the tests of the sender share: schedules, faults with their kinds, a check of whole trials.

The fault servers stand on raw sockets and fail at chosen requests. Request 0 is the warm-up, so
the timed ones are 1, 2, ….
"""

from __future__ import annotations

import numpy as np
from helpers import BODY, Reply, response, stream

from lab_apps.instruments import sender
from lab_apps.instruments.schedule import Schedule, closed, paced
from lab_apps.instruments.trial import Trial

COUNT = 24
FAULTY = (3, 13, 24)
TIMEOUT_S = 0.6  # where a timeout is what is wanted; an answer must never take as long
PATIENT_S = 20.0

SCHEDULES: dict[str, Schedule] = {
    "closed": closed(3, requests=COUNT),
    "open": paced(400, COUNT / 400),
}
FAULTS: dict[str, tuple[Reply, str]] = {
    "closed without a word": (Reply((), "close"), "closed"),
    "closed in the head": (Reply((b"HTTP/1.1 200 OK\r\nContent-",), "close"), "closed"),
    "closed in the body": (Reply((response()[:-3],), "close"), "closed"),
    "not HTTP": (Reply((b"SSH-2.0-OpenSSH_9.2\r\n",)), "broken"),
    "not a length": (Reply((response().replace(b"gth: 11", b"gth: eleven"),)), "broken"),
    "no answer": (Reply((), "hang"), "timeout"),
    "half an answer": (Reply((response()[:-3],), "hang"), "timeout"),
    "not HTTP any more": (
        Reply((b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",)),
        "status",
    ),
    "500": (Reply((response(status="500 Internal Server Error"),)), "status"),
    "404 and closed": (
        Reply((response(BODY, "404 Not Found", "Connection: close"),), "close"),
        "status",
    ),
    "other body": (Reply((response(b"as UNexpected"),)), "body"),
    "body cut short": (Reply((response(BODY[:-1]),)), "body"),
}


def in_process(schedule: Schedule, url: str, timeout_s: float = PATIENT_S) -> Trial:
    """The sender in this process, where it can be patched."""
    return Trial.of(sender.send(url, (stream(schedule),), timeout_s, 1), ("requests",))


def check_whole(trial: Trial, count: int = COUNT) -> None:
    """Every request is one row; those that ended well have all stamps, in order."""
    rows = trial.rows
    assert len(rows) == count
    fine = rows[rows["error"] == ""]
    for earlier, later in (("intended", "sent"), ("sent", "first_byte"), ("first_byte", "done")):
        assert np.all(fine[f"{earlier}_ns"] <= fine[f"{later}_ns"])
    assert np.all(fine["intended_ns"] >= trial.start_ns)
    assert np.all(fine["status"] == 200)
    assert np.all(fine["bytes"] == len(BODY))
    assert np.all(fine["connection"] > 0)
