"""When requests are sent, as data: pure functions, no clock, no network.

The vocabulary is Schroeder, Wierman and Harchol-Balter's ("Open Versus Closed: A Cautionary
Tale", NSDI 2006). In a *closed* loop a user sends the next request when the answer to the last
one has arrived, so a slow server slows its own load down. In an *open* loop requests arrive when
they arrive, and wait.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Seconds: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Closed:
    """`users` connections; each sends its next request when the last answer has come.

    Ends after `requests` requests in all, or after `seconds`, whichever comes first.
    """

    users: int
    requests: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for a schedule that sends nothing or never ends."""
        _positive("users", self.users)
        if self.requests is None and self.seconds is None:
            raise ValueError("a closed schedule needs requests or seconds, or it never ends")
        if self.requests is not None:
            _positive("requests", self.requests)
        if self.seconds is not None:
            _positive("seconds", self.seconds)


@dataclass(frozen=True)
class Open:
    """Requests due at the instants `at_s`, in seconds from the start, whatever the server does."""

    at_s: Seconds
    kind: str

    def __post_init__(self) -> None:
        """Raise ValueError where an instant is negative, not finite or out of order."""
        if not (np.all(np.isfinite(self.at_s)) and np.all(np.diff(self.at_s, prepend=0) >= 0)):
            raise ValueError("the instants of an open schedule must be >= 0, finite and in order")


Schedule: TypeAlias = Closed | Open


def closed(users: int, *, requests: int | None = None, seconds: float | None = None) -> Closed:
    """A closed loop of `users`; ends after `requests` in all or after `seconds`."""
    return Closed(users, requests, seconds)


def paced(rate: float, seconds: float, *, start_s: float = 0.0) -> Open:
    """An open loop with constant gaps of 1/`rate` s, from `start_s` on for `seconds`."""
    _positive("rate", rate)
    _positive("seconds", seconds)
    return Open(start_s + np.arange(max(1, round(rate * seconds))) / rate, "paced")


def poisson(rate: float, seconds: float, *, seed: int, start_s: float = 0.0) -> Open:
    """An open loop with exponential gaps of mean 1/`rate` s: many independent users.

    The same seed gives the same instants, so two arms can be sent the same schedule. The number
    of arrivals is itself random (Poisson with mean rate x seconds) and may be 0.
    """
    _positive("rate", rate)
    _positive("seconds", seconds)
    rng = np.random.default_rng(seed)
    count = rng.poisson(rate * seconds)
    # Given their number, the arrivals of a Poisson process are uniform order statistics
    # (Ross, Stochastic Processes, 2nd ed., theorem 2.3.1).
    return Open(start_s + np.sort(rng.uniform(0.0, seconds, count)), "poisson")


def _positive(name: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"{name} must be greater than 0, not {value}")
