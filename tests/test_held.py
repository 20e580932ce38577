"""Who is answered while something is held: exact counts, and none that are not true."""

from __future__ import annotations

from collections.abc import Callable

import apps
import pytest

from lab_apps.instruments.held import Held, answered_meanwhile
from lab_apps.instruments.server import serve
from lab_apps.instruments.victims import Route

HOLD_MS = 500
VICTIMS = {"def": Route("/def", b'"def"'), "await": Route("/await", b'"await"')}
ALL, NONE, ONLY_AWAIT = {"def": 5, "await": 5}, {"def": 0, "await": 0}, {"def": 0, "await": 5}


def holder(kind: str, hold_ms: float = HOLD_MS) -> Route:
    return Route(f"/{kind}?hold_s={hold_ms / 1e3}", f'"{kind}"'.encode())


def meanwhile(kind: str, hold_ms: float | None, holders: int) -> Held:
    """Two threads in the pool."""
    with serve(apps.kinds, tokens=2) as server:
        return answered_meanwhile(
            server, holder(kind), VICTIMS, hold_ms=hold_ms, holders=holders, each=5
        )


def check_counts(
    measure: Callable[[str, float | None, int], Held], hold_ms: float | None = HOLD_MS
) -> None:
    """What holds the loop holds all; what holds every thread holds those who need one."""
    for kind, holders, answered in [
        ("async", 1, NONE),
        ("async", 3, NONE),
        ("await", 3, ALL),
        ("def", 1, ALL),
        ("def", 2, ONLY_AWAIT),
        ("def", 3, ONLY_AWAIT),
    ]:
        held = measure(kind, hold_ms, holders)
        assert held.answered == answered, (kind, holders)
        assert held.trial.errors == {}
        sent = {name: len(held.trial.stream(name).rows) for name in held.trial.streams}
        assert sent == {"holder": holders, "def": 5, "await": 5}


@pytest.mark.parametrize("hold_ms", [HOLD_MS, None])
def test_counts(hold_ms: float | None) -> None:
    check_counts(meanwhile, hold_ms)


@pytest.mark.parametrize(
    "broken",
    [
        lambda kind, _, holders: meanwhile(kind, 10 * HOLD_MS, holders),
        lambda _, hold_ms, holders: meanwhile("await", hold_ms, holders),
        lambda kind, hold_ms, _: meanwhile(kind, hold_ms, 1),
    ],
    ids=["counts who is answered later", "nothing is held", "one holder only"],
)
def test_check_sees_wrong_counts(broken: Callable[[str, float | None, int], Held]) -> None:
    with pytest.raises(AssertionError):
        check_counts(broken)


def test_victims_are_due_within_the_hold() -> None:
    """`each` of them, evenly from 100 to 200 ms after the start, whoever the victim is."""
    with serve(apps.kinds) as server:
        held = answered_meanwhile(server, holder("await"), VICTIMS, hold_ms=HOLD_MS, each=20)
    for name in VICTIMS:
        due_s = sorted(held.trial.stream(name).at_s("intended").tolist())
        assert due_s == pytest.approx([0.1 + 0.005 * number for number in range(20)])
    assert held.answered == {"def": 20, "await": 20}


@pytest.mark.parametrize(
    ("victim", "error"),
    [(Route("/nowhere", b'"def"'), "status"), (Route("/def", b'"other"'), "body")],
)
def test_failing_victim_is_an_error_and_no_answer(victim: Route, error: str) -> None:
    victims = {"fails": victim, "await": VICTIMS["await"]}
    with serve(apps.kinds) as server:
        held = answered_meanwhile(server, holder("await"), victims, hold_ms=HOLD_MS)
    assert held.trial.errors == {error: 5}
    assert held.answered == {"fails": 0, "await": 5}


@pytest.mark.parametrize("hold_ms", [HOLD_MS, None])
def test_failing_holder_is_an_error(hold_ms: float | None) -> None:
    """Then nothing was held, and `claims.exact` says inconclusive for the trial's errors."""
    with serve(apps.kinds) as server:
        held = answered_meanwhile(server, Route("/nowhere", b""), VICTIMS, hold_ms=hold_ms)
    assert held.trial.errors == {"status": 1}


@pytest.mark.parametrize("hold_ms", [100, None])
def test_hold_that_is_over_before_the_victims_is_no_result(hold_ms: float | None) -> None:
    """It would look as if everybody had been held."""
    with serve(apps.kinds) as server, pytest.raises(ValueError, match="until 200 ms"):
        answered_meanwhile(server, holder("await", 100), VICTIMS, hold_ms=hold_ms)
