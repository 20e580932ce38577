"""Shuffled labels: what stays, and how often the test errs on them; what it must see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from test_layout import PROJECTS, history, human, project

from lab_apps.instruments import layout_null
from lab_apps.instruments.layout import History
from lab_apps.instruments.layout_null import Bucket, Side, buckets, permuted, shuffled
from lab_apps.instruments.layout_study import Study, study

SHUFFLES = 200
MOST_FALSE = 0.05 * SHUFFLES


def studies_of_shuffled(name: str, shuffles: int) -> list[Study]:
    """Studies of the project with its labels shuffled, each with shuffles of its own."""
    rng = np.random.default_rng(7)
    original = human(project(name))
    return [study(shuffled(original, rng), seed=1000 + at) for at in range(shuffles)]


def outside(bucket: Bucket) -> bool:
    """What the instrument says."""
    return bucket.side != "inside"


def outside_pointwise(bucket: Bucket) -> bool:
    """Broken: a 95% band for each bucket by itself."""
    null = bucket.null["advantage"]
    return not null.low <= bucket.observed["advantage"] <= null.high


def outside_zero(bucket: Bucket) -> bool:
    """Broken: the sign test, as if shuffled labels favoured neither layout."""
    return bucket.p < 0.01


def false_positives(studies: list[Study], test: Callable[[Bucket], bool]) -> int:
    return sum(any(map(test, one.buckets)) for one in studies)


def raw_flips(studies: list[Study]) -> int:
    """Broken: by domain has the lead in a bucket, by however little, and by type in a later one."""
    leads = [[np.sign(b.fewer - b.more) for b in one.buckets] for one in studies]
    return sum(1 in lead and -1 in lead[lead.index(1) :] for lead in leads)


def check_size(name: str, shuffles: int = SHUFFLES) -> list[Study]:
    studies = studies_of_shuffled(name, shuffles)
    assert sum(one.flip_seen for one in studies) <= 0.05 * shuffles
    assert false_positives(studies, outside) <= 0.05 * shuffles
    return studies


def test_size_on_shuffled_data_is_at_most_5_percent() -> None:
    """Of the project where a lead by chance is the likeliest; every broken version errs more."""
    studies = check_size("romm")
    assert false_positives(studies, outside_pointwise) > MOST_FALSE
    assert false_positives(studies, outside_zero) > MOST_FALSE
    assert raw_flips(studies) > MOST_FALSE


@pytest.mark.long
@pytest.mark.parametrize("name", PROJECTS)
def test_size_on_every_project(name: str) -> None:
    studies = check_size(name)
    assert false_positives(studies, outside_pointwise) > MOST_FALSE
    assert false_positives(studies, outside_zero) > MOST_FALSE


def test_band_around_zero_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check of the size fails for an instrument that compares with 0."""

    def around_zero(advantages: np.ndarray) -> list[tuple[float, float, Side]]:
        return [(0.0, 0.0, "above" if first > 0 else "below") for first in advantages[:, 0]]

    monkeypatch.setattr(layout_null, "_bands", around_zero)
    with pytest.raises(AssertionError):
        check_size("mealie", 40)


def test_shuffling_keeps_one_label_per_path_and_its_frequency() -> None:
    original = human(project("romm"))
    dealt = shuffled(original, np.random.default_rng(1))
    for before, after in ((original.domain, dealt.domain), (original.kind, dealt.kind)):
        assert (before != after).mean() > 0.5
        assert Counter(by_path(original, before).values()) == Counter(
            by_path(original, after).values()
        )
    assert dealt.files.tolist() == original.files.tolist()
    together = Counter(zip(original.domain.tolist(), original.kind.tolist(), strict=True))
    apart = Counter(zip(dealt.domain.tolist(), dealt.kind.tolist(), strict=True))
    assert together.keys() != apart.keys()  # domains and kinds are dealt independently


def by_path(history: History, labels: np.ndarray) -> dict[int, int]:
    pairs = set(zip(history.file.tolist(), labels.tolist(), strict=True))
    found = dict(pairs)
    assert len(found) == len(pairs)
    return found


def test_same_seed_same_shuffles() -> None:
    original = human(project("mealie"))
    one, again, other = (permuted(original, 99, seed=seed) for seed in (1, 1, 2))
    assert (one.domains == again.domains).all()
    assert (one.domains[1:] != other.domains[1:]).any()
    assert (one.domains[0] == original.folders()[0]).all()


def planted(of_domain: bool) -> History:
    """200 commits of two files that share their domain, or their kind, and nothing else."""
    rng = np.random.default_rng(4)
    same, other = rng.integers(0, 10, (2, 200))
    labels = np.repeat(same, 2), np.column_stack([other, (other + 1) % 10]).ravel()
    domain, kind = labels if of_domain else labels[::-1]
    names = tuple("0123456789")
    made = History(
        "planted",
        np.repeat(np.arange(200), 2),
        domain,
        kind,
        10 * domain + kind,
        np.zeros(400, bool),
        names,
        names,
    )
    return made.only(np.ones(400, bool))


@pytest.mark.parametrize(("of_domain", "side"), [(True, "above"), (False, "below")])
def test_what_commits_keep_to_is_seen(of_domain: bool, side: str) -> None:
    seen = study(planted(of_domain))
    assert seen.buckets[0].side == side
    assert seen.ahead[0] == ("by domain" if of_domain else "by type")
    assert [bucket.side for bucket in seen.buckets[1:]] == ["inside"] * 3  # without commits
    assert not seen.flip_seen


def test_lead_that_shuffled_labels_have_too_is_not_by_domain() -> None:
    """One domain and ten kinds: by domain touches fewer folders in any case."""
    of_one = replace(planted(True), domain=np.zeros(400, np.intp))
    seen = study(of_one)
    assert (seen.buckets[0].fewer, seen.buckets[0].more) == (200, 0)
    assert seen.buckets[0].p < 1e-9
    assert (seen.buckets[0].side, seen.ahead[0]) == ("inside", "neither")


def test_band_and_side_agree_and_hold_most_shuffles() -> None:
    folders = permuted(human(project("dispatch")))
    beyond = np.zeros(201, bool)
    for bucket in buckets(folders):
        low, high = bucket.band
        advantage, null = bucket.observed["advantage"], bucket.null["advantage"]
        assert low < null.low <= null.mean <= null.high < high
        assert bucket.side == ("above" if advantage > high else "inside")
        of_size = (folders.files >= bucket.size[0]) & (folders.files <= bucket.size[1])
        domains, kinds = folders.domains[:, of_size], folders.kinds[:, of_size]
        rows = (domains < kinds).mean(axis=1) - (domains > kinds).mean(axis=1)
        beyond |= (rows < low - 1e-9) | (rows > high + 1e-9)
    assert beyond[0]
    assert beyond.sum() <= 0.01 * 201  # in any bucket, the observed among them


def test_bucket_without_commits_and_labels_that_cannot_vary() -> None:
    same = history("a1 a2", "a1 a2", "a1 a2 a3")  # one domain, every kind once
    first, second, *_, last = buckets(permuted(same, 99))
    assert (first.commits, second.commits, last.commits) == (2, 1, 0)
    assert (first.side, last.side, last.p) == ("inside", "inside", 1)
    assert np.isnan(last.observed["advantage"])


def test_too_few_permutations_are_refused() -> None:
    with pytest.raises(ValueError, match="98 permutations are too few: at least 99"):
        study(planted(True), permutations=98)
    assert study(planted(True), permutations=99).buckets[0].side == "above"
