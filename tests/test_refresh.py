"""What a refresh may store: verdicts that this machine could come to."""

from __future__ import annotations

from collections.abc import Callable

import nbformat
import pytest

from lab_apps.instruments import claims, machine
from lab_apps.instruments.claims import Claim
from lab_apps.report import refresh
from lab_apps.report.execution import Executed

NEEDY = Claim("9.3", "exact", "Three.", "count", expected={"count": 3}, needs=["2 cores"])
EASY = Claim("9.4", "exact", "Three.", "count", expected={"count": 3})


def executed(printed: str) -> Executed:
    """A notebook of one verdict cell."""
    shown = nbformat.v4.new_output("stream", text=printed)  # type: ignore[no-untyped-call]
    cell = nbformat.v4.new_code_cell(  # type: ignore[no-untyped-call]
        "conclude(v)", outputs=[shown], metadata={"tags": ["verdict"]}
    )
    notebook = nbformat.v4.new_notebook(cells=[cell])  # type: ignore[no-untyped-call]
    return Executed("05_x", notebook, 1.0, "")


def check_what_may_be_stored(why_not: Callable[[Executed], str]) -> None:
    """On a machine of one core."""
    for printed, may in [
        ("9.3 supported", True),
        ("9.3 refuted", True),
        ("9.3 inconclusive", False),
        ("9.3 not measurable here", True),  # it needs two cores
        ("9.4 not measurable here", False),  # too busy
        ("9.5 not measurable here", False),  # never declared
    ]:
        why = why_not(executed(printed + "\n"))
        assert why == (
            ""
            if may
            else f"claim {printed[:3]} is {printed[4:]}: try again with less running beside it"
        )


@pytest.fixture(autouse=True)
def _one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "usable_cores", lambda: 1)
    monkeypatch.setattr(claims, "load", lambda: {"9.3": NEEDY, "9.4": EASY})


def test_what_may_be_stored() -> None:
    check_what_may_be_stored(refresh.why_not)


@pytest.mark.parametrize("answer", [True, False])
def test_check_sees_too_much_or_too_little_stored(
    answer: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh, "_is_impossible", lambda *_: answer)
    with pytest.raises(AssertionError):
        check_what_may_be_stored(refresh.why_not)


def test_a_need_that_is_met_excuses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "usable_cores", lambda: 2)
    assert "try again" in refresh.why_not(executed("9.3 not measurable here\n"))
