"""Which folders a commit touches: by domain, and by file type, from its files' two labels.

Under a layout by domain a commit touches as many folders as its files have distinct domains, under
one by file type as many as they have distinct kinds. Both are counted for the same commits, so
that neither the commits nor their size differ between the layouts.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lab_apps.instruments.sequential import tail

Ints: TypeAlias = npt.NDArray[np.intp]
Counts: TypeAlias = npt.NDArray[np.int8]  # of folders touched by one commit
Bools: TypeAlias = npt.NDArray[np.bool_]
Size: TypeAlias = tuple[int, int]  # the fewest and the most files of a commit

MIN_FILES, MAX_FILES = 2, 60  # a commit of one file touches one folder under any layout
BUCKETS: tuple[Size, ...] = ((2, 2), (3, 4), (5, 8), (9, 20))


@dataclass(frozen=True)
class History:
    """Files touched by commits: one entry for each commit and file, in order of time.

    `domain` and `kind` index the names in `domains` and `kinds`; `file` is one number per path, and
    each path has one domain and one kind. Commits have 2 to 60 files each; they and the files are
    numbered from 0 without a gap, which `only` sees to. `mechanical` is the same for all files of a
    commit.
    """

    name: str
    commit: Ints
    domain: Ints
    kind: Ints
    file: Ints
    mechanical: Bools
    domains: tuple[str, ...]
    kinds: tuple[str, ...]

    @property
    def files(self) -> Ints:
        """How many files each commit has."""
        return np.bincount(self.commit)

    def only(self, rows: Bools) -> History:
        """These entries alone, without the commits that have fewer than 2 files or over 60 left."""
        left = np.bincount(self.commit[rows], minlength=self.commit.max(initial=-1) + 1)
        rows = rows & ((left >= MIN_FILES) & (left <= MAX_FILES))[self.commit]
        return History(
            self.name,
            np.unique(self.commit[rows], return_inverse=True)[1],
            self.domain[rows],
            self.kind[rows],
            np.unique(self.file[rows], return_inverse=True)[1],
            self.mechanical[rows],
            self.domains,
            self.kinds,
        )

    def folders(self) -> tuple[Counts, Counts]:
        """Distinct domains and distinct kinds of each commit: folders touched in either layout."""
        return (
            distinct(self.commit, self.domain, len(self.domains)),
            distinct(self.commit, self.kind, len(self.kinds)),
        )


def read(path: Path) -> History:
    """The history in a file such as data/layout/polar.csv, its names from the legends beside it.

    Raises OSError or ValueError for a file that isn't there or isn't of that form.
    """
    table = np.loadtxt(path, np.intp, delimiter=",", skiprows=1, usecols=(1, 3, 4, 5, 6), ndmin=2)
    commit, domain, kind, mechanical, file = table.T
    domains, kinds = (_legend(path, labels) for labels in ("domain", "kind"))
    history = History(path.stem, commit, domain, kind, file, mechanical == 1, domains, kinds)
    return history.only(np.ones(len(commit), bool))


def distinct(commit: Ints, label: Ints, labels: int) -> Counts:
    """How many distinct labels (0 … labels - 1) each commit has."""
    pairs = np.sort(commit * labels + label)
    first = np.diff(pairs, prepend=-1) != 0
    counts: Counts = np.bincount(pairs[first] // labels).astype(np.int8)
    return counts


def sign_test(fewer: int, more: int) -> float:
    """Two-sided p of the exact sign test (Conover, Practical Nonparametric Statistics, 3.4).

    Ties are left out; the commits count as independent of each other.
    """
    return min(1.0, 2 * tail(min(fewer, more), fewer + more))


def _legend(path: Path, labels: str) -> tuple[str, ...]:
    with path.with_name(f"legend_{labels}s.csv").open(newline="") as lines:
        return tuple(
            row[f"{labels}_name"] for row in csv.DictReader(lines) if row["project"] == path.stem
        )
