"""Requests to a real server, one after another: what they were answered, what their tasks noted."""

from __future__ import annotations

import re
import signal
import time
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field

import httpx

from lab_apps.instruments.ledger import Event, Ledger
from lab_apps.instruments.program import Program
from lab_apps.instruments.stops import ADDRESS

SETTLE = "settle"  # as a step: until nothing has been noted for `SETTLE_S`
SETTLE_S = 1.0
POLL_S = 0.05
SETTLED_S = 20.0
TASK = re.compile(r"\d+-(\d+)(\w*)")  # process and number, then a letter where there are several


@dataclass(frozen=True)
class Aftermath:
    """What the requests were answered and what became of their tasks.

    `statuses` are those of the requests in order, `events` what the tasks noted and `said` what
    the server printed before it was told to stop, `status` that of its end by SIGTERM, None where
    it had to be killed, `stop_s` how long it took to end, `at_end` what was noted by then.
    """

    statuses: Sequence[int]
    events: Sequence[Event]
    status: int | None
    stop_s: float
    said: str = field(repr=False)
    at_end: Sequence[Event] = ()

    def noted(self, what: str, which: str = "", of: Container[int] | None = None) -> int:
        """How many tasks have noted this, of those with that letter.

        `of` are the numbers, from 1, of the requests that count, among those that start a task.
        """
        return sum(
            letter == which and event == what and (of is None or number in of)
            for number, letter, event in self._named()
        )

    @property
    def notes(self) -> dict[str, dict[str, int]]:
        """The same for all that was noted: {"a": {"begun": 5, "done": 0}, …}."""
        counts: dict[str, Counter[str]] = {}
        for _, letter, what in self._named():
            counts.setdefault(letter, Counter())[what] += 1
        return {letter: dict(counted) for letter, counted in counts.items()}

    def printed(self, pattern: str) -> int:
        """How often the server has printed what matches."""
        return len(re.findall(pattern, self.said))

    def _named(self) -> list[tuple[int, str, str]]:
        named = [(TASK.fullmatch(event.task), event.what) for event in self.events]
        return [(int(match.group(1)), match.group(2), what) for match, what in named if match]


def aftermath(
    app: str,
    steps: Sequence[str],
    *,
    options: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    end_s: float = 5.0,
) -> Aftermath:
    """Start uvicorn, take the steps, stop it by SIGTERM; kill it where it has not ended in time.

    A step is "settle", "GET /path" or "POST /path"; each request has a connection of its own.
    Raises ChildError where the server does not start, httpx.HTTPError where a request gets no
    answer, TimeoutError where tasks still note things after 20 s.
    """
    with Ledger() as ledger:
        variables = {"LEDGER": str(ledger.path), **(env or {})}
        with Program("uvicorn", app, "--port", "0", *options, env=variables) as server:
            url = server.wait_for(ADDRESS).group(1)
            once = httpx.Limits(max_keepalive_connections=0)
            statuses = []
            with httpx.Client(base_url=url, limits=once, trust_env=False) as client:
                for step in steps:
                    if step == SETTLE:
                        _settle(ledger)
                    else:
                        statuses.append(client.request(*step.split()).status_code)
            events, said = ledger.events, server.said
            signalled_ns = server.signal(signal.SIGTERM)
            try:
                ended_ns, status = server.wait(end_s)
            except TimeoutError:
                ended_ns, status = time.perf_counter_ns(), None
            took_s = (ended_ns - signalled_ns) / 1e9
            return Aftermath(statuses, events, status, took_s, said, ledger.events)


def _settle(ledger: Ledger) -> None:
    begun_s = changed_s = time.monotonic()
    seen = 0
    while time.monotonic() - changed_s < SETTLE_S:
        time.sleep(POLL_S)
        before, seen = seen, len(ledger.events)
        if seen != before:
            changed_s = time.monotonic()
        if changed_s - begun_s > SETTLED_S:
            raise TimeoutError(f"tasks still note things after {SETTLED_S} s")
