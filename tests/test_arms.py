"""Arms: servers of their own, and claims that look at two of them."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable

import pytest
from stage import Stage, take, value

from lab_apps.instruments.claims import Pair, count_failed
from lab_apps.instruments.rounds import Rounds
from lab_apps.instruments.trial import Trial


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_an_arm_may_have_a_server_of_its_own(stage: Stage) -> None:
    servers = {name: functools.partial(stage.server, name) for name in "ab"}
    take(Rounds(servers, stage.arms()), 20)
    for number in range(20):
        one = stage.log[6 * number : 6 * number + 6]
        a = ["starta", f"a{number}", "stopa"]
        b = ["startb", f"b{number}", "stopb"]
        assert one in (a + b, b + a)


@pytest.mark.parametrize("names", ["a", "abc", ""])
def test_arms_and_servers_have_the_same_names(stage: Stage, names: str) -> None:
    with pytest.raises(ValueError, match="the arms are 'a', 'b'"):
        Rounds(dict.fromkeys(names, stage.server), stage.arms())


# Which arms a claim is about.


def test_pairs_are_of_the_arms_named(stage: Stage) -> None:
    rounds = stage.rounds(names="abc")
    for a, b in itertools.product("abc", repeat=2):
        assert take(rounds, 2, a, b) == [Pair(stage.ms[a], stage.ms[b])] * 2
    assert stage.started == rounds.done == 2


def test_unknown_arm_is_named_before_anything_is_run(stage: Stage) -> None:
    rounds = stage.rounds()
    for ask in (
        lambda: rounds.pairs("a", "x", value),
        lambda: rounds.pairs("x", "a", value),
        lambda: rounds.results("x"),
    ):
        with pytest.raises(ValueError, match="no arm 'x': there are 'a', 'b'"):
            ask()
    assert stage.log == []


def test_results_of_an_arm(stage: Stage) -> None:
    rounds = stage.rounds()
    assert (rounds.done, rounds.results("a")) == (0, [])
    take(rounds, 2)
    stage.ms["a"] = 5
    take(rounds, 3)
    assert rounds.done == 3
    assert [float(one.response_ms[0]) for one in rounds.results("a")] == [4, 4, 5]


# What spoils a round, for the arms named and for no others.


def check_spoiled(pairs: Callable[[Rounds[Trial], str, str], Pair]) -> None:
    """Where arm b is spoiled, claims that name it say so, and of which of their arms."""
    for a, b, spoils in [
        ("a", "b", True),
        ("b", "c", True),
        ("b", "b", True),
        ("a", "c", False),
        ("c", "c", False),
    ]:
        stage = Stage()
        stage.spoiled, stage.error, stage.client_waits_s = "b", "timeout", 0.3
        pair = pairs(stage.rounds(names="abc"), a, b)
        assert pair.failed == ({"timeout": 1} if spoils else {}), (a, b)
        why = "client without a core for 0.300 s"
        assert pair.disturbed == (why if a == "b" else "", why if b == "b" else "")


def test_round_spoiled_in_one_arm() -> None:
    check_spoiled(lambda rounds, a, b: take(rounds, 1, a, b)[0])


@pytest.mark.parametrize("broken", ["every arm counts", "an arm counts twice"])
def test_check_sees_wrong_arms_counted(broken: str) -> None:
    def pair(rounds: Rounds[Trial], a: str, b: str) -> Pair:
        right = take(rounds, 1, a, b)[0]
        names = rounds._arms if broken == "every arm counts" else (a, b)
        done = [rounds._done[0][name] for name in names]
        disturbed = "; ".join(one.disturbed for one in done if one.disturbed)
        failed = count_failed(one.result for one in done)
        return dataclasses.replace(right, failed=failed, disturbed=(disturbed, disturbed))

    with pytest.raises(AssertionError):
        check_spoiled(pair)


def test_complete() -> None:
    """Rounds that nobody has judged; `pairs` goes on with them and runs none twice."""
    stage = Stage()
    rounds = Rounds(stage.server, stage.arms())
    rounds.complete(3)
    assert rounds.done == 3
    rounds.complete(2)
    assert rounds.done == 3
    take(rounds, 4)
    assert rounds.done == 4
