"""The sequential sign test errs as rarely as it says, and what it replaces does not."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from test_limits import table_before

from lab_apps.instruments.audit import Logs, Sides, false_rates, peeked_interval, sign_test
from lab_apps.instruments.sequential import ALPHA, MAX_ROUNDS, decide

# Noise. Each gives log ratios of arm a to arm b, `TRIALS` experiments of 40 rounds, truth at θ.

TRIALS = 40_000
PEEKED = 400  # of them, for the interval: it takes longer and errs more


def normal(rng: np.random.Generator) -> Logs:
    return rng.normal(size=(TRIALS, MAX_ROUNDS))


def heavy(rng: np.random.Generator) -> Logs:
    return rng.standard_t(1.5, size=(TRIALS, MAX_ROUNDS))


def one_sided_bursts(rng: np.random.Generator) -> Logs:
    """Either arm may meet a burst that makes it slower; both are equally likely to."""
    bursts = rng.exponential(5, size=(2, TRIALS, MAX_ROUNDS))
    bursts[rng.random(bursts.shape) > 0.2] = 0
    both: Logs = rng.normal(size=(TRIALS, MAX_ROUNDS)) + bursts[0] - bursts[1]
    return both


def drift(rng: np.random.Generator, *, coin: bool = True) -> Logs:
    """A machine whose speed drifts: what helps the second arm of a round lasts (AR(0.8)).

    The coin decides which arm that is.
    """
    helped = np.empty((TRIALS, MAX_ROUNDS))
    now = np.zeros(TRIALS)
    for number in range(-20, MAX_ROUNDS):
        now = 0.8 * now + rng.normal(size=TRIALS)
        if number >= 0:
            helped[:, number] = now
    turned: Logs = helped * (rng.choice([-1, 1], size=helped.shape) if coin else 1)
    return turned


def mixed_bursts(rng: np.random.Generator) -> Logs:
    """Few long bursts slow arm a and many short ones arm b: skewed, with the median on θ."""
    size = (TRIALS, MAX_ROUNDS)
    few = rng.exponential(10, size) * (rng.random(size) < 0.1)
    many = rng.exponential(1, size) * (rng.random(size) < 0.5)
    logs: Logs = rng.normal(size=size) + few - many
    return logs - np.median(logs)


def restarts(rng: np.random.Generator, *, every: int = 1) -> Logs:
    """What a restart draws anew, and keeps until the next, varies as much as a round.

    Restarted every round it is normal noise once more; the control with fewer restarts tells.
    """
    drawn = rng.normal(size=(TRIALS, MAX_ROUNDS // every)).repeat(every, axis=1)
    logs: Logs = drawn + rng.normal(size=(TRIALS, MAX_ROUNDS))
    return logs


NOISES: dict[str, Callable[[np.random.Generator], Logs]] = {
    "normal": normal,
    "heavy tails": heavy,
    "one-sided bursts": one_sided_bursts,
    "mixed bursts": mixed_bursts,
    "drift": drift,
    "restarts": restarts,
}


def check_false_rate(procedure: Callable[[Logs], Sides], logs: Logs) -> None:
    """Wrong no more often than promised on either side, up to 3 standard errors."""
    allowed = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / len(logs))
    for rate in false_rates(procedure, logs):
        assert rate <= allowed


@pytest.mark.parametrize("noise", NOISES)
def test_false_verdicts_at_the_threshold(noise: str) -> None:
    """And the negative control: were the interval to pass, the check would be blind."""
    logs = NOISES[noise](np.random.default_rng(20220829))
    check_false_rate(sign_test, logs)
    assert sum(false_rates(peeked_interval, logs[:PEEKED])) > 0.25
    with pytest.raises(AssertionError):
        check_false_rate(peeked_interval, logs[:PEEKED])


def test_vectorised_decisions_are_those_of_decide() -> None:
    logs = normal(np.random.default_rng(5))[:3000] + 0.4
    above = below = 0
    for one in logs:
        signs = [int(np.sign(value)) for value in one]
        sides = [decide(signs[:n]) for n in range(1, MAX_ROUNDS + 1)]
        first = next((side for side in sides if side), None)
        above += first == "above"
        below += first == "below"
    assert false_rates(sign_test, logs) == (above / 3000, below / 3000)
    assert above > 500


@pytest.mark.parametrize(
    ("sigmas", "right", "rounds"),
    [(0.25, 0.067, 39.2), (0.5, 0.357, 35.5), (1, 0.970, 20.9), (1.5, 1.0, 13.9)],
)
def test_power(sigmas: float, right: float, rounds: float) -> None:
    """Of the table found elsewhere, against the figures that came with it."""
    logs = normal(np.random.default_rng(6)) + sigmas
    above, below = false_rates(lambda rounds: sign_test(rounds, table_before()), logs)
    assert above == pytest.approx(right, abs=0.01)
    assert below < 0.0005
    decided = np.cumsum(logs <= 0, axis=1) <= np.array(table_before())
    used = np.where(decided.any(axis=1), decided.argmax(axis=1) + 1, MAX_ROUNDS)
    assert used.mean() == pytest.approx(rounds, abs=0.2)


def test_check_sees_a_fixed_order_of_the_arms() -> None:
    """The same drift without the coin."""
    logs = drift(np.random.default_rng(20220829), coin=False)
    with pytest.raises(AssertionError):
        check_false_rate(sign_test, logs)
    assert sum(false_rates(sign_test, logs)) > 0.25


def test_check_sees_servers_that_are_kept() -> None:
    """Restarted every tenth round instead of every round: every third verdict is wrong."""
    logs = restarts(np.random.default_rng(20220829), every=10)
    with pytest.raises(AssertionError):
        check_false_rate(sign_test, logs)
    assert sum(false_rates(sign_test, logs)) > 0.25
