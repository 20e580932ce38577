"""Claims as declared: those that can be judged, and what is said of the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lab_apps.instruments.claims import Claim, load

RATIO = Claim("9.1", "ratio", "A says more than B.", "ms", "A", "B", theta=2.0, why_theta="why")

GOOD = """
[[claim]]
id = "9.1"
kind = "ratio"
statement = "A says more than B."
metric = "ms"
a = "A"
b = "B"
theta = 2.0
why_theta = "why"
"""


def test_what_is_declared_can_be_judged() -> None:
    declared = load()
    assert {"0.1", "0.2", "5.1", "5.2", "5.3"} <= set(declared)
    for number, claim in declared.items():
        assert claim.id == number
        assert claim.statement.endswith(".")
        assert claim.metric
        assert (claim.kind == "exact") == bool(claim.expected)
        assert (claim.kind == "exact") != bool(claim.why_theta)


def test_a_good_declaration(tmp_path: Path) -> None:
    file = tmp_path / "claims.toml"
    file.write_text(GOOD)
    assert load(file) == {"9.1": RATIO}


def test_a_declaration_may_say_what_it_needs(tmp_path: Path) -> None:
    file = tmp_path / "claims.toml"
    file.write_text(GOOD + 'needs = ["no gil", "2 cores"]\n')
    assert load(file)["9.1"].needs == ["no gil", "2 cores"]
    assert RATIO.needs == ()


@pytest.mark.parametrize(
    ("break_it", "field"),
    [
        (lambda text: text.replace("theta = 2.0\n", "", 1), "theta"),
        (lambda text: text.replace('why_theta = "why"\n', ""), "why_theta"),
        (lambda text: text.replace('a = "A"\n', ""), "a"),
        (lambda text: text.replace('b = "B"\n', ""), "b"),
        (lambda text: text.replace('metric = "ms"\n', ""), "metric"),
        (lambda text: text.replace('statement = "A says more than B."\n', ""), "statement"),
        (lambda text: text.replace('kind = "ratio"\n', ""), "kind"),
        (lambda text: text.replace('kind = "ratio"', 'kind = "ratoi"'), "ratoi"),
        (lambda text: text.replace('kind = "ratio"', 'kind = "exact"'), "expected"),
        (lambda text: text.replace('"ratio"\n', '"equivalence"\n').replace("2.0", "1.0"), "theta"),
        (lambda text: text.replace('"ratio"\n', '"equivalence"\n').replace("2.0", "0.5"), "theta"),
        (lambda text: text.replace("2.0", "-2.0"), "theta"),
        (lambda text: text.replace("2.0", "nan"), "theta"),
        (lambda text: text.replace("2.0", '"2"'), "theta"),
        (lambda text: text + "thet = 3\n", "thet"),
        (lambda text: text + "budget_s = 0\n", "budget_s"),
        (lambda text: text + "budget_s = -5\n", "budget_s"),
        (lambda text: text + GOOD, "twice"),
        (lambda text: text + 'needs = ["2 cores", "4 cores"]\n', "4 cores"),
        (lambda text: text + 'needs = ["GIL"]\n', "['gil', 'no gil', '2 cores', "),
        (lambda text: text + 'needs = "gil"\n', "needs 'gil'"),
        (lambda text: text + "needs = 2\n", "int"),
    ],
)
def test_broken_declaration_is_named(
    break_it: Callable[[str], str], field: str, tmp_path: Path
) -> None:
    file = tmp_path / "claims.toml"
    file.write_text(break_it(GOOD))
    assert file.read_text() != GOOD
    with pytest.raises(ValueError, match=r"claim 9\.1") as caught:
        load(file)
    assert field in str(caught.value)


@pytest.mark.parametrize("number", ["", "5.", "5.x", "five", "5..3"])
def test_a_claim_has_a_number(number: str, tmp_path: Path) -> None:
    file = tmp_path / "claims.toml"
    file.write_text(GOOD.replace('"9.1"', f'"{number}"'))
    with pytest.raises(ValueError, match="number"):
        load(file)
