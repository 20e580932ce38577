"""Verdicts on record: nothing is lost on the way to the file and back."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from lab_apps.instruments import profile, results
from lab_apps.instruments.claims import Claim, Pair, Verdict, exact, judge

RATIO = Claim("5.3.1", "ratio", "A says more than B.", "ms", "A", "B", theta=2.0, why_theta="why")
EXACT = Claim("5.3", "exact", "Three.", "count", expected={"count": 3})


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "runs" / "run.jsonl"
    monkeypatch.setenv("LAB_RUN_FILE", str(path))
    monkeypatch.delenv("LAB_PROFILE", raising=False)
    return path


def supported() -> Verdict:
    return judge(RATIO, [Pair(4, 1)] * 20)


def test_verdict_comes_back_as_it_was(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verdict = supported()
    results.conclude(verdict)
    assert capsys.readouterr() == ("5.3.1 supported\n", "")
    (entry,) = results.read(file)
    when, chosen = entry.pop("when"), entry.pop("profile")
    assert when.endswith("+00:00")
    assert chosen == "quick"
    assert entry == json.loads(json.dumps(dataclasses.asdict(verdict)))
    assert entry["pairs"] == [[4, 1]] * 10


def test_what_numpy_counted_is_recorded(file: Path) -> None:
    results.conclude(exact(EXACT, {"count": np.int64(3)}))
    results.conclude(exact(EXACT, {"count": np.bool_(False), "all": np.arange(2)}))
    results.conclude(judge(RATIO, [Pair(np.float64(4), np.float64(1))] * 20))
    first, second = results.read(file)
    assert first["observed"] == {"count": False, "all": [0, 1]}
    assert second["outcome"] == "supported"


def test_no_number_that_is_not_json(file: Path) -> None:
    """A ratio without a value is not one: scorecards are read by browsers, which know no NaN."""
    pairs = [Pair(4, 0), *[Pair(float("nan"), 1)] * 3, *[Pair(4, 1)] * 36]
    results.conclude(judge(RATIO, pairs))
    card = results.scorecard(results.read(file))
    json.dumps(card, allow_nan=False)


def test_last_verdict_on_each_claim_in_the_order_of_their_numbers(file: Path) -> None:
    for number in ("10.1", "5.3.1", "5.3", "5.10", "5.3"):
        results.conclude(dataclasses.replace(supported(), id=number))
    results.conclude(exact(EXACT, {"count": 4}))
    entries = results.read(file)
    assert [entry["id"] for entry in entries] == ["5.3", "5.3.1", "5.10", "10.1"]
    assert entries[0]["outcome"] == "refuted"


def test_scorecard(file: Path) -> None:
    results.conclude(supported())
    results.conclude(exact(EXACT, {"count": 4}))
    card = results.scorecard(results.read(file))
    assert card["schema"] == 1
    assert [(claim["id"], claim["verdict"]) for claim in card["claims"]] == [
        ("5.3", "refuted"),
        ("5.3.1", "supported"),
    ]
    for claim in card["claims"]:
        assert set(claim) >= {"statement", "reason", "observed", "versions", "machine", "when"}
        assert "pairs" not in claim


@pytest.mark.parametrize("line", ["{", "[]", "3", "{}", '{"id": 5}x', ""])
def test_damaged_line_is_named(file: Path, line: str) -> None:
    results.conclude(supported())
    with file.open("a") as end:
        end.write(line + "\n")
    with pytest.raises(ValueError, match="line 2") as caught:
        results.read(file)
    assert str(file) in str(caught.value)


def test_nothing_recorded(file: Path) -> None:
    with pytest.raises(FileNotFoundError):
        results.read(file)


def test_latest_is_this_run_then_the_newest_then_the_reference(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = tmp_path / "others"
    runs.mkdir()
    monkeypatch.setattr(results, "RUNS", runs)
    monkeypatch.setattr(results, "REFERENCE", tmp_path / "reference.jsonl")
    assert results.latest() == []
    results.conclude(supported())
    line = file.read_text()
    results.REFERENCE.write_text(line.replace("5.3.1", "1.1"))
    (runs / "a.jsonl").write_text(line.replace("5.3.1", "2.1"))
    assert [entry["id"] for entry in results.latest()] == ["5.3.1"]
    file.unlink()
    assert [entry["id"] for entry in results.latest()] == ["2.1"]
    (runs / "a.jsonl").unlink()
    assert [entry["id"] for entry in results.latest()] == ["1.1"]


def test_table(file: Path) -> None:
    results.conclude(supported())
    results.conclude(exact(EXACT, {"count": 4}))
    table = results.table(results.read(file))
    assert list(table.index) == ["5.3", "5.3.1"]
    assert list(table["verdict"]) == ["refuted", "supported"]
    assert table.loc["5.3.1", "median ratio"] == 4
    assert table.loc["5.3.1", "rounds"] == 10
    assert len(results.table([])) == 0


def test_file_of_an_interactive_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAB_RUN_FILE", raising=False)
    assert results.run_file() == results.RUNS / "interactive.jsonl"


def test_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAB_PROFILE", raising=False)
    assert profile.name() == "quick"
    assert profile.pick(quick=1, full=2) == 1
    monkeypatch.setenv("LAB_PROFILE", "full")
    assert profile.pick(quick=1, full=2) == 2
    monkeypatch.setenv("LAB_PROFILE", "slow")
    with pytest.raises(ValueError, match="'slow'"):
        profile.name()


def test_what_was_seen_is_a_line_and_names_what_differs() -> None:
    few = {"count": 3, "share": 1 / 3}
    assert results.seen(few, "as declared") == "count = 3, share = 0.3333"
    cells = {f"cell {number}": "as it should be" for number in range(99)}
    assert results.seen(cells, "as declared") == "99 values: as declared"
    differs = "'cell 7' is 'no', declared was 'yes'"
    assert results.seen(cells, differs) == f"99 values: {differs}"
    assert len(results.seen(cells, "word " * 99)) <= results.LONGEST
