"""Folders touched in either layout: the shared data's own check tables, and counts by hand."""

from __future__ import annotations

import csv
import itertools
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lab_apps.instruments.layout import BUCKETS, Bools, History, distinct, read, sign_test
from lab_apps.instruments.layout_null import Bucket, Folders, buckets, permuted
from lab_apps.instruments.layout_study import flip_and_interval, frame, study

DATA = Path(__file__).parents[1] / "data" / "layout"
PROJECTS = ("dispatch", "polar", "mealie", "romm")
ALL_SIZES = (*BUCKETS, (21, 60))
SHARES = ("one_domain", "one_kind", "domain_fewer", "domain_more")
MOVED_TO_HANDLER = ("database", "filesystem", "metadata")


def project(name: str) -> History:
    return read(DATA / f"{name}.csv")


def human(history: History) -> History:
    return history.only(~history.mechanical)


def rows(file: str, name: str) -> Iterator[dict[str, str]]:
    with (DATA / file).open(newline="") as lines:
        yield from (row for row in csv.DictReader(lines) if row["project"] == name)


def history(*commits: str, mechanical: tuple[int, ...] = ()) -> History:
    """Commits such as "a1 a2 b1": domains a and b, kinds 1 and 2."""
    table = [(at, "ab".index(f[0]), int(f[1])) for at, c in enumerate(commits) for f in c.split()]
    commit, domain, kind = np.array(table, np.intp).reshape(-1, 3).T
    flagged = np.isin(commit, mechanical)
    made = History("h", commit, domain, kind, domain * 10 + kind, flagged, ("a", "b"), (*"0123",))
    return made.only(np.ones(len(commit), bool))


@pytest.mark.parametrize("name", PROJECTS)
def test_observed_shares_are_those_of_the_check_table(name: str) -> None:
    """To its last digit: three decimals, two for means."""
    found = {b.label: b for b in buckets(permuted(human(project(name)), 99), ALL_SIZES)}
    checked = list(rows("check.csv", name))
    assert [row["bucket"] for row in checked] == list(found)
    for row in checked:
        bucket = found[row["bucket"]]
        assert bucket.commits == int(row["commits"])
        for share in SHARES:
            assert abs(bucket.observed[share] - float(row[share])) < 0.0005 + 1e-9
        for mean in ("mean_domains", "mean_kinds"):
            assert abs(bucket.observed[mean] - float(row[mean])) < 0.005 + 1e-9


@pytest.mark.parametrize("name", PROJECTS)
def test_readme_has_the_same_to_the_second_decimal(name: str) -> None:
    lines = re.findall(
        rf"^\| {name} \| (\d[\d-]*) \| (.*) \|$", (DATA / "README.md").read_text(), re.M
    )
    found = buckets(permuted(human(project(name)), 99))
    assert [label for label, _ in lines] == [bucket.label for bucket in found]
    for (_, line), bucket in zip(lines, found, strict=True):
        commits, *shares, p = line.split(" | ")
        assert int(commits) == bucket.commits
        said = [share.partition(" ")[0] for share in shares]
        assert said == [f"{bucket.observed[share]:.2f}" for share in SHARES]
        assert bucket.p < 0.001 if p == "<0.001" else bucket.p == pytest.approx(float(p), rel=0.05)


def _null_rows(folders: Folders, bucket: Bucket) -> dict[str, np.ndarray]:
    """The shares of the shuffled labels, counted here once more."""
    low, high = bucket.size
    inside = np.flatnonzero((low <= folders.files) & (folders.files <= high))
    domains, kinds = folders.domains[1:, inside], folders.kinds[1:, inside]
    tests = (domains == 1, kinds == 1, kinds > domains, kinds < domains)
    return dict(zip(SHARES, (test.mean(axis=1) for test in tests), strict=True))


@pytest.mark.parametrize("name", PROJECTS)
def test_shuffled_shares_are_those_of_the_check_table(name: str) -> None:
    """Within the error of its 200 shuffles, 5 standard errors; a quantile within its rank's.

    The 2.5% quantile of 200 values is about the fifth, which is between the 0.05% and the 9%
    quantile of their distribution with a probability of all but 2e-5 (beta distribution).
    """
    folders = permuted(human(project(name)), 2000, seed=5)
    found = {b.label: b for b in buckets(folders, ALL_SIZES)}
    for row in rows("check.csv", name):
        bucket = found[row["bucket"]]
        for share, values in _null_rows(folders, bucket).items():
            null = bucket.null[share]
            assert null.mean == pytest.approx(values.mean())
            error = values.std() * (1 / 200 + 1 / len(values)) ** 0.5
            assert abs(null.mean - float(row[f"{share}_null_mean"])) < 5 * error + 0.0006
            low, high = (float(row[f"{share}_null_{edge}"]) for edge in ("lo", "hi"))
            outer_low, inner_low, inner_high, outer_high = np.quantile(
                values, (0.0005, 0.09, 0.91, 0.9995)
            )
            assert outer_low - 0.001 <= low <= inner_low + 0.001
            assert inner_high - 0.001 <= high <= outer_high + 0.001


def _half(first: bool) -> Callable[[History], Bools]:
    return lambda history: (history.commit < len(history.files) // 2) == first


def _without_kinds(*names: str) -> Callable[[History], Bools]:
    return lambda history: ~np.isin(history.kind, [history.kinds.index(name) for name in names])


def _merged(into: str, *names: str) -> Callable[[History], History]:
    def merge(history: History) -> History:
        kind = np.where(_without_kinds(*names)(history), history.kind, history.kinds.index(into))
        return replace(history, kind=kind)

    return merge


ROWS_OF: dict[str, Callable[[History], Bools]] = {
    "first half of commits": _half(True),
    "second half of commits": _half(False),
    "kind other left out": _without_kinds("other"),
    "models left out": _without_kinds("models"),
    # All of these kinds are of the domain metadata, which has files of other kinds too.
    "metadata and adapters left out": lambda h: h.domain != h.domains.index("metadata"),
}
MERGED: dict[str, Callable[[History], History]] = {
    "kinds repos and models merged": _merged("repos", "models"),
    "kinds merged to top-level folders": lambda history: _merged("handler", *MOVED_TO_HANDLER)(
        _merged("endpoints", "responses")(history)
    ),
}
OTHER_LABELS = ("finer domains", "coarser domains")  # which the rows don't have


def _variant(name: str, variant: str) -> History:
    if variant == "mechanical kept":
        return project(name)
    history = human(project(name))
    if variant in ROWS_OF:
        return history.only(ROWS_OF[variant](history))
    return MERGED[variant](history) if variant in MERGED else history


@pytest.mark.parametrize("name", PROJECTS)
def test_variants_that_the_rows_allow(name: str) -> None:
    checked = [
        row for row in rows("check_variants.csv", name) if row["variant"] not in OTHER_LABELS
    ]
    known = {"main", "mechanical kept", *ROWS_OF, *MERGED}
    assert {row["variant"] for row in checked} <= known
    for variant, group in itertools.groupby(checked, key=lambda row: row["variant"]):
        found = study(_variant(name, variant), ALL_SIZES, permutations=99)
        for row, bucket in zip(group, (b for b in found.buckets if b.commits), strict=True):
            assert (row["bucket"], int(row["commits"])) == (bucket.label, bucket.commits), variant
            assert (int(row["n_domains"]), int(row["n_kinds"])) == (found.domains, found.kinds)
            for share in SHARES:
                assert abs(bucket.observed[share] - float(row[share])) < 0.0005 + 1e-9, variant


def test_folders_of_commits_by_hand() -> None:
    made = history("a1 a2 a3", "a1 b1", "a1 a2 b1 b2", "a0 b1", "b0")  # the last has one file
    domains, kinds = made.folders()
    assert made.files.tolist() == [3, 2, 4, 2]
    assert domains.tolist() == [1, 2, 2, 2]
    assert kinds.tolist() == [3, 1, 2, 2]


def test_distinct_counts_what_a_set_has() -> None:
    rng = random.Random(3)
    pairs = [(at, rng.randrange(7)) for at in range(50) for _ in range(rng.randrange(1, 9))]
    commit, label = np.array(pairs, np.intp).T
    sets = [len({own for own_at, own in pairs if own_at == at}) for at in range(50)]
    assert distinct(commit, label, 7).tolist() == sets


def test_only_leaves_no_gap_and_no_commit_of_one_file() -> None:
    made = history("a1 a2", "a1 b1 b2", "b1 b2", mechanical=(1,))
    kept = made.only(~made.mechanical)
    assert kept.commit.tolist() == [0, 0, 1, 1]
    assert sorted(set(kept.file.tolist())) == list(range(4))
    apart = made.only(made.mechanical)
    assert (apart.files.tolist(), apart.domain.tolist()) == ([3], [0, 1, 1])
    without_a1 = made.only((made.domain == 1) | (made.kind == 2))
    assert without_a1.files.tolist() == [2, 2]
    rows = np.arange(122)  # two commits of 61 files, of which the first has one mechanical
    large = History("h", rows // 61, rows % 2, rows % 2, rows, rows == 0, ("a", "b"), ("0", "1"))
    assert large.only(~large.mechanical).files.tolist() == [60]
    nothing = made.only(np.zeros(7, bool))
    assert len(nothing.files) == 0
    with pytest.raises(ValueError, match="no commits"):
        study(nothing)


def test_sign_test_is_the_binomial_of_both_tails() -> None:
    assert sign_test(0, 8) == sign_test(8, 0) == 2 / 2**8
    assert sign_test(1, 9) == 2 * (1 + 10) / 2**10
    assert sign_test(4, 4) == sign_test(0, 0) == 1
    assert sign_test(1030, 970) == pytest.approx(0.187, abs=0.002)  # no overflow


def _folders(signs: dict[int, list[int]]) -> Folders:
    """Commits of so many files that touch fewer (1), as many (0) or more (-1) folders by domain."""
    files = [size for size, own in signs.items() for _ in own]
    sign = np.array([[one for own in signs.values() for one in own]], np.int8)
    return Folders(np.array(files), 3 - sign, np.full_like(sign, 3))


def test_flip_is_the_size_that_is_right_for_most_commits() -> None:
    rng = random.Random(2)
    for _ in range(200):
        signs = {
            size: rng.choices((-1, 0, 1), k=rng.randrange(1, 9))
            for size in rng.sample(range(2, 60), 6)
        }
        right = {
            flip: sum(
                one == (1 if size < flip else -1) for size, own in signs.items() for one in own
            )
            for flip in (*sorted(signs), np.inf)
        }
        flip, _interval = flip_and_interval(_folders(signs), resamples=2)
        assert flip == max(at for at, count in right.items() if count == max(right.values()))


def test_flip_at_the_ends_and_its_interval() -> None:
    fewer, more = [1] * 30, [-1] * 30
    assert flip_and_interval(_folders({2: fewer, 5: fewer})) == (np.inf, (np.inf, np.inf))
    assert flip_and_interval(_folders({2: more, 5: more})) == (2, (2, 2))
    assert flip_and_interval(_folders({2: fewer, 5: more})) == (5, (5, 5))
    # One odd size among many commits is no flip.
    assert flip_and_interval(_folders({2: fewer, 3: [-1], 4: fewer, 9: more})) == (9, (9, 9))
    unsure = _folders({2: fewer, 5: [1, -1] * 8, 9: more})
    flip, (low, high) = flip_and_interval(unsure)
    assert (flip, low, high) == (9, 5, 9)
    again = flip_and_interval(unsure, seed=2)
    assert again == (flip, (low, high))


def test_what_the_four_projects_show() -> None:
    """The flips are where data/layout/README.md has them, as are the sides of shuffled labels."""
    found = {name: study(human(project(name))) for name in PROJECTS}
    assert [one.flip for one in found.values()] == [8, 10, 6, 7]
    for name, one in found.items():
        low, high = one.flip_interval
        assert 4 <= low <= one.flip <= high <= 14
        assert one.flip_seen
        ahead = "by domain" if name == "polar" else "neither"
        assert one.ahead == ("by domain", "by domain", ahead, "by type")
        sides = [bucket.side for bucket in one.buckets]
        assert sides == ["above", "above", *["inside" if name == "romm" else "above"] * 2]
    line = frame(found["dispatch"]).loc["2"]
    assert line["commits"] == 240
    assert re.fullmatch(r"0\.54 \(0\.0\d-0\.0\d\)", str(line["fewer"]))
    assert (line["p"], line["ahead"], line["shuffled"]) == ("<0.001", "by domain", "above")
