"""What `lab structure` does: which folders the commits of a repository touch in either layout."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from lab_apps.instruments import git_history, layout_pictures, layout_rules, layout_study
from lab_apps.instruments.git_history import Reading
from lab_apps.instruments.layout import BUCKETS, History
from lab_apps.instruments.layout_study import SIGN_LEVEL, Study
from lab_apps.instruments.plots import DPI
from lab_apps.instruments.sequential import tail
from lab_apps.report import files
from lab_apps.report.files import CannotRun

QUIET_S = 2.0  # no progress is shown before
LIVE_EVERY_S, PLAIN_EVERY_S = 0.2, 10.0
NAMES_SHOWN = 8
WIDTH = 100
# Two buckets in each of which the sign test could decide, were all its commits of one sign.
FEWEST_COMMITS = 2 * next(n for n in range(1, 99) if 2 * tail(0, n) <= SIGN_LEVEL / len(BUCKETS))
LEGEND = (
    "one domain, one kind: share of commits that touch one folder by domain, by type\n"
    "fewer, more: share that touch fewer, more folders by domain than by type\n"
    "in brackets: 95% of shuffled labels; p: sign test of fewer against more\n"
    "shuffled: where fewer - more lies beside that of shuffled labels, for all lines together"
)
NOT_SHOWN = (
    "Not shown: how hard a file is to find, what commits of one matched file touch, or how the"
    " layout at hand has shaped the commits. Coarser domains or finer kinds move the flip. Commits"
    " are taken as independent; mechanical ones are known by their message only."
)


def examine(folder: Path, templates: Sequence[str], output: Path | None, seed: int) -> str:
    """Read the repository's history and return what is seen in it, as text; draw it to `output`.

    Nothing is written where it fails. Raises CannotRun for a rule or folder that won't do, and for
    a history in which no flip could be seen.
    """
    if output is not None:
        _check(output)
    try:
        rules = [layout_rules.Rule.of(template) for template in templates]
        with _progress() as show:
            reading = git_history.read(folder, rules, show)
    except (layout_rules.RuleError, git_history.HistoryError) as error:
        raise CannotRun(str(error)) from None
    history = reading.history
    human = history.only(~history.mechanical)
    _check_enough(reading, human)
    study = layout_study.study(human, seed=seed)
    text = [*_read(folder, reading, human), "", layout_study.frame(study).to_string(), ""]
    said = (_finding(study), *_mechanical(history), NOT_SHOWN)
    text += [LEGEND, "", *(textwrap.fill(paragraph, WIDTH) for paragraph in said)]
    if output is not None:
        _draw(study, output)
        text += ["", f"picture: {output}"]
    return "\n".join(text)


def _check(output: Path) -> None:
    if output.suffix.lower() != ".png":
        raise CannotRun(f"--output {_shown(output)} doesn't end in .png: name it so")
    if output.is_dir() or not output.absolute().parent.is_dir():
        why = "is a folder" if output.is_dir() else "is in a folder that isn't there"
        raise CannotRun(f"--output {_shown(output)} {why}: name a file in a folder that is there")


def _check_enough(reading: Reading, human: History) -> None:
    if not reading.mapped:
        such = f", such as {_shown(reading.unmapped)}" if reading.unmapped else ""
        raise CannotRun(
            f"no rule matches any of {reading.paths:,} paths{such}: write --rule for whole paths"
            f" from the repository's root, as in {layout_rules.EXAMPLE}"
        )
    commits = len(human.files)
    if commits < FEWEST_COMMITS:
        remedy = "git fetch --unshallow gets older ones" if reading.shallow else "add a --rule"
        raise CannotRun(
            f"{commits} commits touch two or more matched files, of {reading.commits:,}, and with"
            f" fewer than {FEWEST_COMMITS} no flip can be seen: {remedy}"
        )


def _read(folder: Path, reading: Reading, human: History) -> Iterator[str]:
    yield f"history   {_shown(folder.resolve())}, {reading.commits:,} commits without merges"
    if reading.shallow:
        yield "          a shallow clone: git fetch --unshallow gets the older commits"
    unmatched = f"; unmatched, for instance: {_shown(reading.unmapped)}" if reading.unmapped else ""
    yield f"files     {reading.mapped:,} of {reading.paths:,} paths match a rule{unmatched}"
    yield f"domains   {_names(reading.domains)}"
    yield f"kinds     {_names(reading.kinds)}"
    mechanical = len(reading.history.files) - len(human.files)
    yield (
        f"commits   {len(human.files):,} of 2 to 60 matched files; left out: {reading.small:,} of"
        f" fewer, {reading.large:,} of more, {mechanical:,} mechanical"
    )


def _names(paths: Mapping[str, int]) -> str:
    first = [f"{_shown(name)} {count:,}" for name, count in list(paths.items())[:NAMES_SHOWN]]
    return f"{len(paths):,}: {', '.join(first)}{' …' if len(paths) > NAMES_SHOWN else ''}"


def _finding(study: Study) -> str:
    if study.flip_seen:
        low, high = study.flip_interval
        return (
            f"A flip is seen: commits of fewer than {study.flip:g} files touch fewer folders by"
            f" domain more often, those of {study.flip:g} or more by type (95%: {low:g} to"
            f" {high:g})."
        )
    by_domain, by_type = (
        ", ".join(
            bucket.label
            for bucket, ahead in zip(study.buckets, study.ahead, strict=True)
            if ahead == side
        )
        or "no"
        for side in ("by domain", "by type")
    )
    return (
        f"No flip is seen: by domain leads, and by more than with shuffled labels, at {by_domain}"
        f" files; by type leads at {by_type} files."
    )


def _mechanical(history: History) -> Iterator[str]:
    apart = history.only(history.mechanical)
    if len(apart.commit):
        domains, kinds = apart.folders()
        yield (
            f"Mechanical commits apart: of {len(domains):,} by domain touches fewer folders in"
            f" {(domains < kinds).sum():,} and more in {(domains > kinds).sum():,}."
        )


def _draw(study: Study, output: Path) -> None:
    # The picture's font has few letters beyond ASCII.
    named = dataclasses.replace(study, name=study.name.encode("ascii", "replace").decode())
    png = io.BytesIO()
    fig = layout_pictures.folders_touched([named])
    fig.savefig(png, dpi=DPI, metadata={"Software": None})
    try:
        files.write(output, png.getvalue())
    except OSError as error:
        raise CannotRun(f"can't write {_shown(output)} ({error.strerror}): see --output") from None


def _shown(name: str | Path) -> str:
    """A name that a terminal can show: control characters and broken letters are escaped."""
    return repr(os.fspath(name))[1:-1]


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[int], None]]:
    """A line of progress on stderr, from two seconds on."""
    live = sys.stderr.isatty()
    every_s = LIVE_EVERY_S if live else PLAIN_EVERY_S
    next_s = begun_s = time.monotonic()
    next_s += QUIET_S

    def show(commits: int) -> None:
        nonlocal next_s
        now_s = time.monotonic()
        if now_s >= next_s:
            next_s = now_s + every_s
            text = f"{commits:,} commits read, {now_s - begun_s:.0f} s"
            print(f"\r{text}\x1b[K" if live else text, end="" if live else "\n", file=sys.stderr)
            sys.stderr.flush()

    try:
        yield show
    finally:
        if live and time.monotonic() - begun_s >= QUIET_S:
            print(file=sys.stderr)
