"""The files that each commit of a git repository touches, labelled by path templates.

Read by one `git log` on this machine, which fetches nothing: a partial clone that lacks what it
needs fails. As in data/layout/README.md: merge commits are left out, a rename counts once at its
new path, a deletion at its old one, `__init__.py` never, and a commit is mechanical when its
message starts, after anything that isn't a letter, with chore, format, black, ruff or bump.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from lab_apps.instruments.layout import MAX_FILES, MIN_FILES, History
from lab_apps.instruments.layout_rules import Labels, Rule

CHUNK = 1 << 16
EVERY = 500  # commits between two calls of progress
HEADER = b"\x01"  # before a subject; a status is a letter
MECHANICAL = re.compile(r"[\W\d_]*(chore|format|black|ruff|bump)", re.IGNORECASE)
ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")  # set by a hook
LOG = (
    *("log", "--no-merges", "--name-status", "-M", "-z", "--root", "--no-relative"),
    *("--no-show-signature", "--no-color", "--no-mailmap", "--encoding=UTF-8", "--format=%x01%s"),
)


class HistoryError(Exception):
    """The history can't be read; the text says in one line what is wrong, and the remedy."""


class Commit(NamedTuple):
    """A commit's subject and the paths it touched."""

    subject: str
    paths: list[str]


@dataclass(frozen=True)
class Reading:
    """What was read: the labelled commits of 2 to 60 mapped files, and what was left out.

    `paths` and `mapped` are numbers of different paths, `unmapped` is one that no rule matched, ""
    for none. `small` commits have fewer than 2 mapped files, `large` ones over 60. `domains` and
    `kinds` have the number of mapped paths of each, the most frequent first.
    """

    history: History
    shallow: bool
    commits: int
    paths: int
    mapped: int
    unmapped: str
    small: int
    large: int
    domains: dict[str, int]
    kinds: dict[str, int]


def read(
    folder: Path, rules: Sequence[Rule], progress: Callable[[int], None] | None = None
) -> Reading:
    """Read the history of the repository at `folder`, from the commit checked out back.

    The first rule that matches labels a path. `progress` is called with the commits so far.
    Raises HistoryError where there is no folder, no git, no history or git fails.
    """
    shallow = _is_shallow(folder)
    labels: dict[str, Labels | None] = {}
    found: list[tuple[bool, list[str]]] = []
    commits = small = large = 0
    for commit in log(folder):
        commits += 1
        if progress and commits % EVERY == 0:
            progress(commits)
        mapped = []
        for path in commit.paths:
            if path not in labels:
                labels[path] = _labels(path, rules)
            if labels[path]:
                mapped.append(path)
        small += len(mapped) < MIN_FILES
        large += len(mapped) > MAX_FILES
        if MIN_FILES <= len(mapped) <= MAX_FILES:
            found.append((MECHANICAL.match(commit.subject) is not None, mapped))
    known = {path: both for path, both in labels.items() if both}
    return Reading(
        _history(folder.resolve().name, found[::-1], known),
        shallow,
        commits,
        len(labels),
        len(known),
        next((path for path, both in labels.items() if not both), ""),
        small,
        large,
        *(dict(Counter(both[at] for both in known.values()).most_common()) for at in (0, 1)),
    )


def log(folder: Path) -> Iterator[Commit]:
    """The commits from the one checked out back, the newest first, without merges.

    Raises HistoryError where git fails; git has ended when the iterator is closed.
    """
    with tempfile.TemporaryFile() as errors, _git(folder, LOG, errors) as git:
        assert git.stdout is not None
        yield from _commits(_fields(git.stdout))
        if git.wait():
            errors.seek(0)
            raise HistoryError(_said(folder, errors.read()))


def _commits(fields: Iterator[bytes]) -> Iterator[Commit]:
    """What `git log -z --name-status` prints: a header, then a status and its path or two."""
    subject, paths = None, list[str]()
    for field in fields:
        if field.startswith(HEADER):
            if subject is not None:
                yield Commit(subject, paths)
            subject, paths = field[1:].decode(errors="replace"), []
            continue
        path = next(fields, b"")
        if field.lstrip(b"\n")[:1] in (b"R", b"C"):
            path = next(fields, b"")
        paths.append(os.fsdecode(path))
    if subject is not None:
        yield Commit(subject, paths)


def _fields(stream: IO[bytes]) -> Iterator[bytes]:
    """What stands between the NULs, as soon as it's there."""
    rest = b""
    while chunk := os.read(stream.fileno(), CHUNK):
        *whole, rest = (rest + chunk).split(b"\0")
        yield from whole
    if rest:
        yield rest


def _labels(path: str, rules: Sequence[Rule]) -> Labels | None:
    if path.rpartition("/")[2] == "__init__.py":
        return None
    return next((both for rule in rules if (both := rule.labels(path))), None)


def _history(
    name: str, commits: Sequence[tuple[bool, list[str]]], labels: dict[str, Labels]
) -> History:
    names = [tuple(sorted({both[at] for both in labels.values()})) for at in (0, 1)]
    numbers = [{name: number for number, name in enumerate(group)} for group in names]
    file = {path: number for number, path in enumerate(labels)}
    rows = [
        (at, numbers[0][labels[path][0]], numbers[1][labels[path][1]], file[path], mechanical)
        for at, (mechanical, paths) in enumerate(commits)
        for path in paths
    ]
    commit, domain, kind, of_file, flagged = np.array(rows, np.intp).reshape(-1, 5).T
    history = History(name, commit, domain, kind, of_file, flagged == 1, *names)
    return history.only(np.ones(len(rows), bool))


def _is_shallow(folder: Path) -> bool:
    """Whether the clone lacks its older commits."""
    with tempfile.TemporaryFile() as errors:
        with _git(folder, ("rev-parse", "--is-shallow-repository"), errors) as git:
            assert git.stdout is not None
            shallow = git.stdout.read().strip() == b"true"
            failed = git.wait()
        errors.seek(0)
        if failed:
            raise HistoryError(_said(folder, errors.read()))
    return shallow


@contextlib.contextmanager
def _git(folder: Path, args: Sequence[str], errors: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Git in that folder, which is no more when the block ends, and which never fetches."""
    kept = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    env = {**kept, "LC_ALL": "C", "GIT_ALLOW_PROTOCOL": ""}  # none, whatever the settings say
    command = ["git", "--no-pager", "-C", str(folder), *args]
    try:
        git = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, env=env
        )
    except OSError as error:
        raise HistoryError(
            f"git can't be started ({error.strerror}): install it, Debian: sudo apt install git"
        ) from None
    try:
        yield git
    finally:
        git.kill()
        git.communicate()


def _said(folder: Path, stderr: bytes) -> str:
    """What git complained of, as one line with its remedy."""
    said = stderr.decode(errors="replace").strip()
    if "cannot change to" in said:
        return f"can't open the folder {str(folder)!r}: name one with a git repository"
    if "not a git repository" in said:
        return f"{str(folder)!r} has no history: name a folder with a git repository"
    if "does not have any commits" in said:
        return f"{str(folder)!r} has no commits yet: name a repository with a history"
    why = said.splitlines()[-1] if said else "it doesn't say why"
    return f"git can't read the history of {str(folder)!r} ({why}): see what git log says there"
