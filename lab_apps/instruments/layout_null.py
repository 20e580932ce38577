"""What shuffled labels would give: the permutation null of the folders that commits touch.

The null hypothesis: which files change together has nothing to do with their domain or kind. Under
it the labels may be dealt to the files anew, domains and kinds each by themselves, every path
keeping one of each and every label its number of paths. Commits then still touch fewer folders
where there are fewer labels: with 90 domains and 9 kinds, shuffled labels favour the layout by
type at every size. So an advantage is judged against those of shuffled labels, not against 0.

A layout's advantage in a bucket of sizes is the share of commits that touch fewer folders by domain
less the share that touch more. It is outside the null where its deviation from the mean, in
standard deviations, is among the largest of the observed and all the shuffled labels. For each of
these the largest deviation over all buckets counts, so that the error holds for the buckets
together (single-step maxT of P. H. Westfall and S. S. Young, Resampling-Based Multiple Testing,
1993). Observed and shuffled are treated alike, so the error is at most `ALPHA` for any number of
permutations (B. Phipson and G. K. Smyth, Stat. Appl. Genet. Mol. Biol. 9, 2010).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from lab_apps.instruments.layout import BUCKETS, Counts, History, Ints, Size, distinct, sign_test

Floats: TypeAlias = npt.NDArray[np.float64]
Side: TypeAlias = Literal["above", "inside", "below"]

PERMUTATIONS = 200
# Were it 5%, a test without a fault would show over 5% in 200 shuffles four times of ten.
ALPHA = 0.01
SAME = 1e-9  # a standard deviation below this is rounding: all shuffled labels gave the same


@dataclass(frozen=True)
class Folders:
    """Folders touched by each commit, whose `files` are their numbers of files.

    `domains` and `kinds` are (1 + permutations, commits): row 0 is observed, the others are of
    shuffled labels.
    """

    files: Ints
    domains: Counts
    kinds: Counts


@dataclass(frozen=True)
class Null:
    """What shuffled labels gave: the mean, and the 2.5% and 97.5% quantiles."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Bucket:
    """The commits of `size` files, and what shuffled labels make of the same commits.

    `observed` and `null` have one_domain, one_kind (shares of commits that touch one folder),
    domain_fewer, domain_more (that touch fewer, or more, folders by domain than by type),
    mean_domains, mean_kinds (folders touched) and advantage (domain_fewer - domain_more); nan
    without commits. `band` is where the advantage is inside the null, for all buckets together, and
    `side` says where the observed one lies.
    """

    size: Size
    commits: int
    fewer: int
    more: int
    observed: Mapping[str, float]
    null: Mapping[str, Null]
    band: tuple[float, float]
    side: Side

    @property
    def label(self) -> str:
        """The number of files: "2", "3-4"."""
        low, high = self.size
        return f"{low}" if low == high else f"{low}-{high}"

    @property
    def p(self) -> float:
        """The sign test of fewer against more, two-sided."""
        return sign_test(self.fewer, self.more)


def shuffled(history: History, rng: np.random.Generator) -> History:
    """The same commits with domains, and independently kinds, dealt anew to the files."""
    domain, kind = _shuffled_labels(history, rng)
    return dataclasses.replace(history, domain=domain, kind=kind)


def permuted(history: History, permutations: int = PERMUTATIONS, *, seed: int = 1) -> Folders:
    """The folders touched by each commit, with the labels as they are and shuffled."""
    rng = np.random.default_rng(seed)
    rows = [history.folders()]
    for _ in range(permutations):
        domain, kind = _shuffled_labels(history, rng)
        rows.append(
            (
                distinct(history.commit, domain, len(history.domains)),
                distinct(history.commit, kind, len(history.kinds)),
            )
        )
    domains, kinds = zip(*rows, strict=True)
    return Folders(history.files, np.stack(domains), np.stack(kinds))


def buckets(folders: Folders, sizes: Sequence[Size] = BUCKETS) -> tuple[Bucket, ...]:
    """One bucket for each of the sizes; the error of `Bucket.side` holds for them together.

    Raises ValueError for fewer than 99 permutations, with which nothing is outside the null.
    """
    values = [_values(folders, size) for size in sizes]
    bands = _bands(np.stack([of_size["advantage"] for of_size in values]))
    files = folders.files
    return tuple(
        _bucket(size, int(((files >= size[0]) & (files <= size[1])).sum()), of_size, band)
        for size, of_size, band in zip(sizes, values, bands, strict=True)
    )


def _shuffled_labels(history: History, rng: np.random.Generator) -> tuple[Ints, Ints]:
    found = []
    for label in (history.domain, history.kind):
        of_file = np.empty(history.file.max(initial=-1) + 1, np.intp)
        of_file[history.file] = label
        found.append(rng.permutation(of_file)[history.file])
    return found[0], found[1]


def _values(folders: Folders, size: Size) -> dict[str, Floats]:
    """The shares and means of the commits of that size: one for each row of `folders`."""
    of_size = (folders.files >= size[0]) & (folders.files <= size[1])
    domains, kinds = folders.domains[:, of_size], folders.kinds[:, of_size]
    each = {
        "one_domain": domains == 1,
        "one_kind": kinds == 1,
        "domain_fewer": domains < kinds,
        "domain_more": domains > kinds,
        "mean_domains": domains,
        "mean_kinds": kinds,
        "advantage": np.sign(kinds - domains),
    }
    if not of_size.any():
        return {name: np.full(len(domains), np.nan) for name in each}
    return {name: values.mean(axis=1) for name, values in each.items()}


def _bands(advantages: Floats) -> list[tuple[float, float, Side]]:
    """For each bucket the band of the null and the side of row 0; `advantages`: (buckets, rows)."""
    rows = advantages.shape[1]
    beyond = int(ALPHA * rows)  # so many rows, the observed among them, are outside at most
    if beyond < 1:
        raise ValueError(f"{rows - 1} permutations are too few: at least {round(1 / ALPHA) - 1}")
    mean, sd = advantages.mean(axis=1), advantages.std(axis=1)
    varies = sd > SAME
    deviation = np.zeros_like(advantages)
    deviation[varies] = (advantages[varies] - mean[varies, None]) / sd[varies, None]
    limit = np.sort(np.abs(deviation).max(axis=0))[-1 - beyond]
    sides: list[Side] = [
        "above" if first > limit else "below" if first < -limit else "inside"
        for first in deviation[:, 0]
    ]
    return list(zip(mean - limit * sd, mean + limit * sd, sides, strict=True))


def _bucket(
    size: Size, commits: int, values: Mapping[str, Floats], band: tuple[float, float, Side]
) -> Bucket:
    observed = {name: float(rows[0]) for name, rows in values.items()}
    null = {
        name: Null(float(rows[1:].mean()), *map(float, np.quantile(rows[1:], (0.025, 0.975))))
        for name, rows in values.items()
    }
    counts = (
        (0, 0)
        if commits == 0
        else (round(commits * observed["domain_fewer"]), round(commits * observed["domain_more"]))
    )
    low, high, side = band
    return Bucket(size, commits, *counts, observed, null, (float(low), float(high)), side)
