"""The comparison of verdicts that turns `make test` red, and what must not."""

from __future__ import annotations

import pytest

from lab_apps.report.comparison import disagreement, parse


def printed(text: str) -> list[dict[str, str]]:
    return [{"output_type": "stream", "name": "stdout", "text": text}]


@pytest.mark.parametrize(
    ("stored", "now", "why"),
    [
        ("5.3 supported\n", "5.3 supported\n", ""),
        ("5.3 refuted\n", "5.3 refuted\n", ""),
        ("5.3 supported\n", "5.3 refuted\n", "claim 5.3 was supported and is now refuted"),
        ("5.3 refuted\n", "5.3 supported\n", "claim 5.3 was refuted and is now supported"),
        ("5.3 supported\n", "5.3 inconclusive\n", ""),
        ("5.3 supported\n", "5.3 not measurable here\n", ""),
        ("5.3 inconclusive\n", "5.3 refuted\n", ""),
        ("5.3 not measurable here\n", "5.3 supported\n", ""),
        ("5.3 not measurable here\n", "5.3 refuted\n", ""),
        ("5.3 not measurable here\n", "5.3 not measurable here\n", ""),
        (
            "5.3 supported\n",
            "5.2 supported\n",
            "the stored verdict is on claim 5.3, this one on 5.2",
        ),
        (
            "5.3 supported\n",
            "5.3 inconclusive (requests failed)\n",
            "claim 5.3: requests failed, so there is no verdict",
        ),
    ],
)
def test_two_verdicts(stored: str, now: str, why: str) -> None:
    assert disagreement(printed(stored), printed(now), []) == why


def test_more_than_two_inconclusive_fail_and_the_rest_is_listed() -> None:
    listed: list[str] = []
    whys = [
        disagreement(printed(f"5.{n} supported\n"), printed(f"5.{n} {outcome}\n"), listed)
        for n, outcome in enumerate(
            ["inconclusive", "not measurable here", "inconclusive", "inconclusive"], 1
        )
    ]
    assert whys[:3] == ["", "", ""]
    assert whys[3].startswith("3 verdicts are inconclusive")
    assert listed == [
        "5.1 inconclusive",
        "5.2 not measurable here",
        "5.3 inconclusive",
        "5.4 inconclusive",
    ]


@pytest.mark.parametrize(
    "outputs",
    [
        [],
        printed("supported\n"),
        printed("5.3 supported, ratio 8\n"),
        printed("5.3 supported\n5.4 supported\n"),
        [*printed("5.3 supported\n"), {"output_type": "stream", "name": "stderr", "text": "x"}],
    ],
)
def test_anything_but_one_verdict_is_an_error(outputs: list[dict[str, str]]) -> None:
    with pytest.raises(ValueError, match="prints its number and outcome"):
        parse(outputs)
    assert "prints its number" in disagreement(outputs, printed("5.3 supported\n"), [])
