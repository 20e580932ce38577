"""From which commit size on a layout by domain loses its lead, and whether such a flip is seen.

The definitions stand here before any number.

The flip. Take the commits in order of size and add up those that touch fewer folders by domain less
those that touch more. The flip is the first size after this sum's (last) maximum: to expect fewer
folders by domain below it and by type from it on is right for more commits than with any other
size. The same size is where a non-increasing least-squares fit of the advantage by size, weighted
by commits, falls below 0 (R. E. Barlow et al., Statistical Inference under Order Restrictions,
1972), so one size with few commits doesn't make a flip. It's the smallest size where by type leads
throughout, and infinite where by domain does. Its interval is of a bootstrap over commits.

A flip is seen where by domain is ahead in one bucket and by type in a larger one. By domain is
ahead where more commits touch fewer folders than touch more (exact sign test at 5% over the number
of buckets) and its advantage is above that of shuffled labels (`layout_null`). By type is ahead
where the sign test says so. The flip by the definition above is then finite and not the smallest
size, or none is seen either. Shuffled labels lead by type as well, where the kinds are fewer: that
half of a flip says what a commit touches, not that commits keep to kinds. Shuffled labels show a
flip no more often than an advantage above the null, at most `layout_null.ALPHA` of the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from lab_apps.instruments.layout import BUCKETS, History, Ints, Size
from lab_apps.instruments.layout_null import (
    PERMUTATIONS,
    Bucket,
    Floats,
    Folders,
    buckets,
    permuted,
)

if TYPE_CHECKING:
    import pandas as pd

Ahead: TypeAlias = Literal["by domain", "by type", "neither"]

SIGN_LEVEL = 0.05  # for all buckets together
SINGLE_SIZES: tuple[Size, ...] = tuple((files, files) for files in range(2, 21))
RESAMPLES = 2000


@dataclass(frozen=True)
class Study:
    """What a history shows: by bucket, by single size up to 20 files, and the flip.

    `flip` is a number of files, inf for none, and `flip_interval` holds 95% of the bootstrap.
    """

    name: str
    domains: int
    kinds: int
    commits: int
    buckets: tuple[Bucket, ...]
    sizes: tuple[Bucket, ...]
    flip: float
    flip_interval: tuple[float, float]

    @property
    def ahead(self) -> tuple[Ahead, ...]:
        """Which layout is ahead in each bucket."""
        level = SIGN_LEVEL / len(self.buckets)
        return tuple(_ahead(bucket, level) for bucket in self.buckets)

    @property
    def flip_seen(self) -> bool:
        """Whether by domain is ahead in a bucket and by type in a larger one."""
        ahead = self.ahead
        if "by domain" not in ahead or not self.buckets[0].size[0] < self.flip < np.inf:
            return False
        return "by type" in ahead[ahead.index("by domain") :]


def study(
    history: History,
    sizes: Sequence[Size] = BUCKETS,
    *,
    permutations: int = PERMUTATIONS,
    seed: int = 1,
) -> Study:
    """Study all commits of the history; leave mechanical ones out beforehand, with `only`.

    `sizes` are those of the buckets, in increasing order. Raises ValueError for a history without
    commits or fewer than 99 permutations.
    """
    if not len(history.commit):
        raise ValueError(f"no commits of two or more files in {history.name}")
    folders = permuted(history, permutations, seed=seed)
    flip, interval = flip_and_interval(folders, seed=seed)
    return Study(
        history.name,
        len(np.unique(history.domain)),
        len(np.unique(history.kind)),
        len(history.files),
        buckets(folders, sizes),
        buckets(folders, SINGLE_SIZES),
        flip,
        interval,
    )


def flip_and_interval(
    folders: Folders, *, resamples: int = RESAMPLES, seed: int = 1
) -> tuple[float, tuple[float, float]]:
    """The flip of the observed commits, and 95% of those of resampled commits."""
    sizes, size = np.unique(folders.files, return_inverse=True)
    sign = np.sign(folders.kinds[0] - folders.domains[0])
    commits = np.bincount(3 * size + sign + 1, minlength=3 * len(sizes))
    rng = np.random.default_rng(seed)
    again = rng.multinomial(len(size), commits / len(size), resamples)
    flips = _flips(sizes, np.vstack([commits, again]))
    low, high = np.quantile(flips[1:], (0.025, 0.975), method="closest_observation")
    return float(flips[0]), (float(low), float(high))


def frame(studied: Study) -> pd.DataFrame:
    """A line for each bucket; shares with 95% of those of shuffled labels in brackets."""
    import pandas as pd

    def share(bucket: Bucket, name: str) -> str:
        null = bucket.null[name]
        return f"{bucket.observed[name]:.2f} ({null.low:.2f}-{null.high:.2f})"

    def p(bucket: Bucket) -> str:
        return f"{bucket.p:.2g}" if bucket.p >= 0.001 else "<0.001"

    columns = {
        "one domain": "one_domain",
        "one kind": "one_kind",
        "fewer": "domain_fewer",
        "more": "domain_more",
    }
    lines = [
        {
            "files": bucket.label,
            "commits": bucket.commits,
            **{
                column: share(bucket, name) if bucket.commits else "-"
                for column, name in columns.items()
            },
            "p": p(bucket) if bucket.commits else "-",
            "ahead": ahead if bucket.commits else "-",
            "shuffled": bucket.side if bucket.commits else "-",
        }
        for bucket, ahead in zip(studied.buckets, studied.ahead, strict=True)
    ]
    return pd.DataFrame(lines).set_index("files")


def _ahead(bucket: Bucket, level: float) -> Ahead:
    if bucket.p > level:
        return "neither"
    if bucket.fewer < bucket.more:
        return "by type"
    return "by domain" if bucket.side == "above" else "neither"


def _flips(sizes: Ints, commits: Ints) -> Floats:
    """The flip of each row of `commits`: counts of more, same and fewer for every size."""
    cells = commits.reshape(len(commits), len(sizes), 3)
    lead = np.cumsum(cells[:, :, 2] - cells[:, :, 0], axis=1)
    lead = np.hstack([np.zeros((len(commits), 1), lead.dtype), lead])
    last_maximum = len(sizes) - np.argmax(lead[:, ::-1], axis=1)
    flips: Floats = np.append(sizes, np.inf)[last_maximum]
    return flips
