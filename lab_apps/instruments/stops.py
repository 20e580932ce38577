"""A real server, stopped by a real signal while its tasks run: what became of them."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias, TypeVar

import numpy as np

from lab_apps.instruments import load
from lab_apps.instruments.ledger import Event, Ledger
from lab_apps.instruments.notebook import Progress
from lab_apps.instruments.program import Program
from lab_apps.instruments.schedule import Open, Schedule, paced
from lab_apps.instruments.trial import Trial
from lab_apps.instruments.wire import Stream

Signal: TypeAlias = Literal["SIGTERM", "SIGKILL", "SIGINT"]

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")

ADDRESS = r"running on (http://127\.0\.0\.1:\d+)"
BEGIN_S, END_S = 10.0, 30.0
LATE_S = 0.5
ATTEMPTS = 3  # at a signal that meets all tasks begun and none done
AT_ONCE = 8  # servers, of which most wait most of the time
PACE = 200.0  # requests per s, so that one can tell them apart in a picture


class Stop(NamedTuple):
    """How a server is stopped: the signal, and uvicorn's time of grace in s (None: no limit)."""

    signal: Signal
    grace_s: int | None = None

    def __str__(self) -> str:
        """SIGTERM, or "SIGTERM, grace 1 s"."""
        return self.signal + ("" if self.grace_s is None else f", grace {self.grace_s} s")


@dataclass(frozen=True)
class Fate:
    """What became of the tasks that a server had accepted when it was stopped.

    `events` are what the tasks noted, `signalled_ns` and `ended_ns` when the signal was sent and
    the process was gone, on the same clock; `status` is its exit status, `said` what it printed,
    `mistimed` why the signal did not meet the tasks as it should have, or "". `states` counts what
    a queue says of its jobs in the end.
    """

    trial: Trial
    events: Sequence[Event]
    signalled_ns: int
    ended_ns: int
    status: int
    mistimed: str = ""
    said: str = field(repr=False, default="")
    states: Mapping[str, int] = field(default_factory=dict)

    def left_s(self, work_s: float) -> list[float]:
        """How much of its work each task had left at the signal, where each takes `work_s`."""
        begun = [event.at_ns for event in self.events if event.what == "begun"]
        return [work_s - (self.signalled_ns - at_ns) / 1e9 for at_ns in begun]

    def tasks(self, what: str) -> list[str]:
        """The tasks that noted this, one entry for each time."""
        return [event.task for event in self.events if event.what == what]

    @property
    def accepted(self) -> int:
        """Tasks whose request was answered or on its way to be."""
        return len(set(self.tasks("accepted")))

    @property
    def lost(self) -> int:
        """Accepted tasks that were never done."""
        return len(set(self.tasks("accepted")) - set(self.tasks("done")))

    @property
    def doubled(self) -> int:
        """Tasks that were done more than once."""
        done = self.tasks("done")
        return sum(done.count(task) > 1 for task in set(done))

    @property
    def stop_s(self) -> float:
        """Seconds from the signal to the end of the process."""
        return (self.ended_ns - self.signalled_ns) / 1e9


def at_once(tasks: int) -> Open:
    """A schedule of so many requests at the same instant."""
    return Open(np.zeros(tasks), "at once")


def post(url: str, path: str, schedule: Schedule) -> Trial:
    """POST to that path by a schedule; from any thread."""
    return load.send_beside(url, Stream("tasks", path, schedule, method="POST"), warm_up=0)


def stopped(
    app: str,
    path: str,
    stop: Stop,
    tasks: int,
    *,
    env: Mapping[str, str] | None = None,
    options: Sequence[str] = (),
) -> Fate:
    """Start uvicorn, POST `tasks` requests, 200/s, stop it when all their tasks have begun.

    The server is `python -m uvicorn app`, with its `options`, in a process of its own; the app
    notes its tasks in the file that the environment variable LEDGER names. Where the signal came
    too late all is done again, up to 3 times in all; `Fate.mistimed` of the last one says so.
    Raises ChildError where the server does not start, TimeoutError where tasks do not begin in
    10 s or the server has not ended 30 s after the signal.
    """
    for _ in range(ATTEMPTS):
        fate = _stopped(app, path, stop, paced(PACE, tasks / PACE), tasks, env, options)
        if not fate.mistimed:
            break
    return fate


def stopped_under_load(app: str, path: str, stop: Stop, schedule: Schedule) -> Fate:
    """The same under requests of a schedule; the signal comes at its end, whatever has begun."""
    return _stopped(app, path, stop, schedule, 0, None, ())


def _stopped(
    app: str,
    path: str,
    stop: Stop,
    schedule: Schedule,
    begun: int,
    env: Mapping[str, str] | None,
    options: Sequence[str],
) -> Fate:
    grace = () if stop.grace_s is None else ("--timeout-graceful-shutdown", str(stop.grace_s))
    with Ledger() as ledger:
        variables = {"LEDGER": str(ledger.path), **(env or {})}
        command = ("uvicorn", app, "--port", "0", *grace, *options)
        with Program(*command, env=variables) as server:
            trial = post(server.wait_for(ADDRESS).group(1), path, schedule)
            ledger.wait_for("begun", begun, BEGIN_S)
            signalled_ns = server.signal(signal.Signals[stop.signal])
            ended_ns, status = server.wait(END_S)
            events, said = ledger.events, server.said
        missed = meets(events, signalled_ns, "begun", begun, "done") if begun else ""
        return Fate(trial, events, signalled_ns, ended_ns, status, missed, said)


def meets(events: Sequence[Event], at_ns: int, what: str, tasks: int, next_: str) -> str:
    """Why a signal at that moment did not meet so many tasks with `what` noted and none `next_`.

    "" where it did, and at most 0.5 s after the last of them, so that it is known how much was
    left of their work.
    """
    before = [event for event in events if event.at_ns < at_ns]
    seen = Counter(event.what for event in before)
    if seen[what] != tasks or seen[next_]:
        return f"at the signal {seen[what]} of {tasks} tasks were {what}, {seen[next_]} {next_}"
    late_s = (at_ns - max(event.at_ns for event in before if event.what == what)) / 1e9
    return f"the signal came {late_s:.2f} s after all were {what}" if late_s > LATE_S else ""


def each(what: str, experiments: Mapping[Key, Callable[[], Result]]) -> dict[Key, Result]:
    """Run the experiments, eight at a time, with a line of progress; what each gave, by its key.

    Raises the first failure or interrupt when those at work have ended; begins no other then.
    """
    with Progress(what, len(experiments)) as progress, ThreadPoolExecutor(AT_ONCE) as pool:
        running = {pool.submit(run): key for key, run in experiments.items()}
        try:
            for one in as_completed(running):
                one.result()
                progress.step()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        return {key: one.result() for one, key in running.items()}


def mistimed(fates: Iterable[Fate]) -> str:
    """The first reason for which one of these does not count; "" where all do."""
    return next((fate.mistimed for fate in fates if fate.mistimed), "")
