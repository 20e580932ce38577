"""The reader's own history: what git's commits touch, how paths are labelled, what is refused."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from helpers import children, needs_proc
from histories import RULE, Change, git, grown_by_domain, repository

from lab_apps.instruments import git_history
from lab_apps.instruments.git_history import Commit, HistoryError, Reading, log, read
from lab_apps.instruments.layout_rules import Labels, Rule, RuleError

TEXT = "".join(f"line {number}\n" for number in range(20))


def files(domain: str, *kinds: str) -> dict[str, str | None]:
    return {f"src/{domain}/{kind}.py": f"{domain} {kind}" for kind in kinds}


def reading(folder: Path, *templates: str) -> Reading:
    return read(folder, [Rule.of(template) for template in templates or (RULE,)])


def touched(found: Reading) -> list[list[tuple[str, str]]]:
    """The labels of every commit's files."""
    history = found.history
    return [
        [
            (history.domains[history.domain[row]], history.kinds[history.kind[row]])
            for row in np.flatnonzero(history.commit == commit)
        ]
        for commit in range(len(history.files))
    ]


MATCHES = [
    ("src/{domain}/{kind}.py", "src/auth/service.py", ("auth", "service")),
    ("src/{domain}/{kind}.py", "src/auth/api/service.py", None),
    ("src/{domain}/{kind}.py", "x/src/auth/service.py", None),
    ("src/{domain}/{kind}.py", "src/auth/service.pyi", None),
    ("src/{domain}/{kind}.py", "src/auth/serviceXpy", None),
    ("src/{domain}/*/{kind}.py", "src/auth/v1/service.py", ("auth", "service")),
    ("src/{domain}/*/{kind}.py", "src/auth/service.py", None),
    ("src/{domain}/**/{kind}.py", "src/auth/service.py", ("auth", "service")),
    ("src/{domain}/**/{kind}.py", "src/auth/a/b/service.py", ("auth", "service")),
    ("**/{kind}/{domain}.py", "routes/user.py", ("user", "routes")),
    ("app/{kind}/{domain}/**", "app/routes/user/a/b.py", ("user", "routes")),
    ("app/{kind}/{domain}_*.py", "app/routes/user_admin.py", ("user", "routes")),
    ("app/{kind:models|db/sql}/{domain}.py", "app/db/sql/user.py", ("user", "db/sql")),
    ("app/{kind:models|db/sql}/{domain}.py", "app/views/user.py", None),
    ("src/{domain}/{kind}.py", "src/à la carte\n/ü.py", ("à la carte\n", "ü")),
]


@pytest.mark.parametrize(("template", "path", "labels"), MATCHES)
def test_rule_labels(template: str, path: str, labels: tuple[str, str] | None) -> None:
    assert Rule.of(template).labels(path) == (labels and Labels(*labels))


BAD_RULES = {
    "": r"no \{domain\}",
    "src/{domain}.py": r"'src/\{domain\}.py' has no \{kind\}: write one",
    "src/{kind}.py": r"no \{domain\}",
    "{domain}/{domain}/{kind}.py": r"two \{domain\}",
    "{domain}/{kind}/{stem}.py": r"has \{stem\}: write",
    "{domain}/{kind}/{.py": r"has \{: write",
    "{domain}/{kind:}.py": r"has \{kind:\}: write",
    "{domain}/{kind:a||b}.py": r"has \{kind:a\|\|b\}: write",
    "src**/{domain}/{kind}.py": r"\*\* beside other letters",
}


@pytest.mark.parametrize("template", BAD_RULES)
def test_bad_rule_is_one_line(template: str) -> None:
    with pytest.raises(RuleError, match=BAD_RULES[template]) as error:
        Rule.of(template)
    assert "\n" not in str(error.value)


def test_first_rule_that_matches_counts(tmp_path: Path) -> None:
    change = {"src/models/user.py": "", "src/user/views.py": "", "docs/x.md": ""}
    folder = repository(tmp_path, [Change("one", change)])
    found = reading(folder, "src/{kind:models}/{domain}.py", RULE)
    assert touched(found) == [[("user", "models"), ("user", "views")]]
    assert (found.domains, found.kinds) == ({"user": 2}, {"models": 1, "views": 1})
    assert (found.paths, found.mapped, found.unmapped) == (3, 2, "docs/x.md")
    found = reading(folder, RULE, "src/{kind:models}/{domain}.py")
    assert touched(found) == [[("models", "user"), ("user", "views")]]


def test_renames_deletions_and_merges(tmp_path: Path) -> None:
    """A rename once, at its new path; a deletion at its path; no merge, no `__init__.py`."""
    first = {"src/a/x.py": TEXT, "src/a/y.py": "y", "src/a/__init__.py": "z" * 50}
    renamed = {"src/a/x.py": None, "src/b/x.py": TEXT + "one more\n", "src/b/new.py": "n"}
    deleted: dict[str, str | None] = {"src/a/y.py": None, "src/b/new.py": None}
    changes = [Change("1", first), Change("2", renamed), Change("3", deleted)]
    folder = repository(tmp_path, changes)
    git(folder, "checkout", "-qb", "side", "main~1")
    (folder / "src/c").mkdir()
    for kind in ("x", "y"):
        (folder / f"src/c/{kind}.py").write_text(kind)
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "side")
    git(folder, "checkout", "-q", "main")
    git(folder, "merge", "-q", "--no-edit", "side")
    found = reading(folder)
    assert found.commits == 4
    assert sorted(map(sorted, touched(found))) == [
        [("a", "x"), ("a", "y")],
        [("a", "y"), ("b", "new")],
        [("b", "new"), ("b", "x")],
        [("c", "x"), ("c", "y")],
    ]


def test_commits_are_in_order_of_time_and_those_of_one_file_or_over_60_left_out(
    tmp_path: Path,
) -> None:
    large = {f"src/big/k{number}.py": "" for number in range(61)}
    changes = [
        Change("1", files("a", "x", "y")),
        Change("2", files("b", "x")),
        Change("3", dict(large)),
        Change("4", dict(list(large.items())[:60]) | {"src/big/k0.py": "1"}),
        Change("5", files("c", "x", "y", "z")),
        Change("6", {"README.md": ""}),
    ]
    found = reading(repository(tmp_path, changes))
    assert [commit[0][0] for commit in touched(found)] == ["a", "c"]
    assert (found.commits, found.small, found.large) == (6, 3, 1)
    assert found.history.files.tolist() == [2, 3]


SUBJECTS = {
    "chore: x": True,
    "[Chore] x": True,
    "  1. Bump x": True,
    "Formatting": True,
    "ruff": True,
    "BLACK everything": True,
    "fix: format": False,
    "éblack": False,
    "": False,
}


def test_mechanical_by_the_first_word(tmp_path: Path) -> None:
    changes = [
        Change(subject + "\n\nchore: in the body", files(f"d{number}", "x", "y"))
        for number, subject in enumerate(SUBJECTS)
    ]
    changes[-1] = Change("", files("last", "x", "y"))
    flagged = reading(repository(tmp_path, changes)).history.mechanical
    assert flagged.reshape(-1, 2).all(axis=1).tolist() == list(SUBJECTS.values())


def test_names_and_subjects_of_any_kind(tmp_path: Path) -> None:
    """Bytes that aren't UTF-8, quotes, blanks, a path that looks like a header or a status."""
    names = ["src/a/b c.py", 'src/a/"q".py', os.fsdecode(b"src/a/\xff.py"), "src/a/ü.py", "M", "R1"]
    escaped = {f'"{name}"' if '"' not in name else '"src/a/\\"q\\".py"': "x" for name in names}
    folder = repository(tmp_path, [Change("\x01 subject \x01", dict(escaped))])
    (commit,) = log(folder)
    assert sorted(commit.paths) == sorted(names)
    assert len(touched(reading(folder))[0]) == 4


def test_settings_and_environment_of_the_reader_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renamed = {"src/a/x.py": None, "src/b/x.py": TEXT, "src/b/y.py": "y"}
    changes = [Change("1", {"src/a/x.py": TEXT, "src/a/y.py": "y"}), Change("2", renamed)]
    folder = repository(tmp_path / "one", changes)
    plain = list(log(folder))
    assert plain == [
        Commit("2", ["src/b/x.py", "src/b/y.py"]),
        Commit("1", ["src/a/x.py", "src/a/y.py"]),
    ]
    settings = ("log.showRoot=false", "diff.renames=false", "color.ui=always", "log.decorate=full")
    for setting in (*settings, "log.showSignature=true", "diff.relative=true", "format.pretty=raw"):
        git(folder, "config", *setting.split("="))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.chdir(folder)
    assert list(log(folder)) == plain
    (folder / "sub").mkdir()
    assert list(log(folder / "sub")) == plain


def test_shallow_clone_is_said(tmp_path: Path) -> None:
    folder = repository(tmp_path / "full", grown_by_domain(20))
    git(tmp_path, "clone", "-q", "--depth", "5", folder.as_uri(), "shallow")
    found = reading(tmp_path / "shallow")
    assert (found.shallow, found.commits) == (True, 5)
    assert not reading(folder).shallow


def test_partial_clone_fetches_nothing(tmp_path: Path) -> None:
    """Inexact renames need file contents that such a clone doesn't have."""
    renamed = {"src/a/x.py": None, "src/b/x.py": TEXT + "more\n"}
    folder = repository(
        tmp_path / "full", [Change("1", {"src/a/x.py": TEXT}), Change("2", renamed)]
    )
    git(folder, "config", "uploadpack.allowFilter", "true")
    partial = tmp_path / "partial"
    git(tmp_path, "clone", "-q", "--bare", "--filter=blob:none", folder.as_uri(), "partial")
    git(partial, "config", "protocol.file.allow", "always")
    packs = sorted(path.name for path in (partial / "objects").rglob("*"))
    with pytest.raises(HistoryError, match=r"git can't read the history of .*git log"):
        reading(partial)
    assert sorted(path.name for path in (partial / "objects").rglob("*")) == packs


def test_what_has_no_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    refused = {tmp_path / "none": "can't open the folder", tmp_path: "has no history"}
    git_folder = tmp_path / "empty"
    git_folder.mkdir()
    git(git_folder, "init", "-q")
    for folder, says in (refused | {git_folder: "no commits yet"}).items():
        with pytest.raises(HistoryError, match=says) as error:
            reading(folder)
        assert repr(str(folder)) in str(error.value)
        assert "\n" not in str(error.value)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HistoryError, match=r"git can't be started .*: install it"):
        reading(git_folder)


@needs_proc
def test_no_git_is_left_when_the_reader_stops(tmp_path: Path) -> None:
    folder = repository(tmp_path, grown_by_domain(2000))
    before = children(os.getpid())
    commits = log(folder)
    next(commits)
    assert children(os.getpid()) > before
    commits.close()  # type: ignore[attr-defined]
    assert children(os.getpid()) == before


def test_progress_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_history, "EVERY", 10)
    told: list[int] = []
    read(repository(tmp_path, grown_by_domain(25)), [Rule.of(RULE)], told.append)
    assert told == [10, 20]


def test_bare_repository_is_read(tmp_path: Path) -> None:
    folder = repository(tmp_path / "full", grown_by_domain(20))
    subprocess.run(["git", "clone", "-q", "--bare", folder, tmp_path / "bare"], check=True)
    assert touched(reading(tmp_path / "bare")) == touched(reading(folder))
