"""Something is held: who is answered meanwhile, counted rather than timed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lab_apps.instruments.load import send
from lab_apps.instruments.schedule import paced
from lab_apps.instruments.server import Server
from lab_apps.instruments.trial import Trial
from lab_apps.instruments.victims import Route

FIRST_S, LAST_S = 0.1, 0.2  # victims are due in this part of the hold


@dataclass(frozen=True)
class Held:
    """`answered` before the hold was over: how many requests of each victim."""

    trial: Trial
    answered: Mapping[str, int]


def answered_meanwhile(
    server: Server,
    holder: Route,
    victims: Mapping[str, Route],
    *,
    hold_ms: float | None,
    holders: int = 1,
    each: int = 5,
) -> Held:
    """Send `holders` requests at once, then `each` requests of every victim; count the answers.

    Victims are due 100 to 200 ms after the holders, so `hold_ms` should leave time after that. The
    hold ends `hold_ms` after the first holder was sent, answered or not. With None, for work whose
    length nobody knows before, it ends when nine tenths of the time to the first holder's answer
    have passed. Raises ValueError where it ends before the last victim is due.
    """
    holding = holder.stream("holder", paced(1e5, holders / 1e5))
    crowd = paced(each / (LAST_S - FIRST_S), LAST_S - FIRST_S, start_s=FIRST_S)
    streams = [route.stream(name, crowd) for name, route in victims.items()]
    trial = send(server.url, holding, *streams, warm_up=0)
    held = trial.stream("holder")
    sent_s, answered_s = float(held.at_s("sent").min()), float(held.at_s("done").min())
    end_s = sent_s + (0.9 * (answered_s - sent_s) if hold_ms is None else hold_ms / 1e3)
    if end_s < crowd.at_s[-1] and not held.errors:
        raise ValueError(
            f"held for {end_s * 1e3:.0f} ms, victims are due until {LAST_S * 1e3:g} ms"
        )
    answered = {}
    for name in victims:
        one = trial.stream(name)
        answered[name] = int(((one.rows["error"] == "") & (one.at_s("done") < end_s)).sum())
    return Held(trial, answered)
