"""Requests that start tasks, and what the tasks noted until the last of them had ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from lab_apps.instruments.ledger import POLL_S, Event, Ledger
from lab_apps.instruments.load import send
from lab_apps.instruments.server import Server
from lab_apps.instruments.trial import Trial
from lab_apps.instruments.wire import Stream

TIMEOUT_S = 30.0
MAX_WAIT_SHARE = 0.1  # of the trial


@dataclass(frozen=True)
class Run:
    """A trial and the events of its tasks, in order of their stamps.

    `disturbed` says what disturbed the machine meanwhile, or "".
    """

    trial: Trial
    events: Sequence[Event]
    disturbed: str

    def count(self, what: str) -> int:
        """How many events of that name there are."""
        return sum(event.what == what for event in self.events)

    def stamps_ns(self, what: str) -> list[int]:
        """When they were, in order."""
        return [event.at_ns for event in self.events if event.what == what]


def run(
    server: Server,
    ledger: Ledger,
    *streams: Stream,
    ends: Sequence[str] = ("done",),
    max_wait_share: float = MAX_WAIT_SHARE,
    timeout_s: float = TIMEOUT_S,
) -> Run:
    """Send the streams, without a warm-up, and wait until each accepted task has ended.

    `ends` are the events that end a task. Disturbed is a run in which the server's loop or the
    client was ready and had no core for more than `max_wait_share` of the trial. Raises
    TimeoutError where some tasks haven't ended in time.
    """
    known, before_s = len(ledger.events), server.run_queue_wait_s() or 0.0
    trial = send(server.url, *streams, warm_up=0)
    waits_s = {
        "server": (server.run_queue_wait_s() or 0.0) - before_s,
        "client": trial.client_wait_s,
    }
    disturbed = [
        f"{who} without a core for {wait_s:.3f} of {trial.seconds:.3f} s"
        for who, wait_s in waits_s.items()
        if wait_s > max_wait_share * trial.seconds
    ]
    said = "; ".join(disturbed)
    latest_s = time.monotonic() + timeout_s
    while True:
        so_far = Run(trial, ledger.events[known:], said)
        accepted, ended = so_far.count("accepted"), sum(map(so_far.count, ends))
        if ended >= accepted:
            return so_far
        if time.monotonic() > latest_s:
            raise TimeoutError(f"{ended} of {accepted} tasks have ended after {timeout_s} s")
        time.sleep(POLL_S)


def disturbance(runs: Iterable[Run]) -> str:
    """What disturbed the first of these runs that was, or ""."""
    return next((one.disturbed for one in runs if one.disturbed), "")


def undisturbed(measure: Callable[[], Run], most: int = 2) -> Run:
    """The first run that nothing disturbed, of so many; else the last. Results don't decide."""
    for _ in range(most - 1):
        done = measure()
        if not done.disturbed:
            return done
    return measure()
