"""`lab structure`: what it prints and draws of a repository, and what it refuses."""

from __future__ import annotations

import errno
import io
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from histories import RULE, Change, git, grown_by_domain, repository

from lab_apps import structure
from lab_apps.cli import main
from lab_apps.instruments import git_history
from lab_apps.report import files

PNG = b"\x89PNG\r\n\x1a\n"
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def by_domain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of 400 commits in which by domain leads, and by type at 10 files."""
    return repository(tmp_path_factory.mktemp("by_domain"), grown_by_domain(400))


def lab(folder: Path, *more: str, rule: str = RULE) -> int:
    return main(["structure", str(folder), "--rule", rule, *more])


def said(capsys: Capture, folder: Path, *more: str, rule: str = RULE) -> str:
    assert lab(folder, *more, rule=rule) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def test_what_is_read_and_the_flip(by_domain: Path, capsys: Capture, tmp_path: Path) -> None:
    picture = tmp_path / "flip.png"
    out = said(capsys, by_domain, "--output", str(picture))
    assert re.search(r"^history +\S+, 400 commits without merges$", out, re.M)
    assert re.search(r"^files +150 of 150 paths match a rule$", out, re.M)
    assert re.search(r"^domains +30: d\d+ 5, .* …$", out, re.M)
    assert re.search(r"^kinds +5: ", out, re.M)
    (used, fewer) = re.findall(
        r"^commits +(\d+) of 2 to 60 .*: (\d+) of fewer, 0 of more", out, re.M
    )[0]
    assert int(used) + int(fewer) == 400
    lines = dict(re.findall(r"^(\d[\d-]*) +\d+ +(.*)$", out, re.M))
    assert list(lines) == ["2", "3-4", "5-8", "9-20"]
    assert re.fullmatch(
        r"1\.00 \(0.*\) +0\.00 \(.*\) +1\.00 \(.*\) +0\.00 \(.*\) +<0\.001 +by domain +above",
        lines["2"],
    )
    assert re.search(r"<0\.001 +by type +(inside|above)$", lines["9-20"])
    flip = "A flip is seen: commits of fewer than 10 files .* by type (95%: 10 to 10)."
    assert re.search(flip.replace("(", r"\(").replace(")", r"\)"), out.replace("\n", " "))
    assert "Not shown: " in out
    assert out.endswith(f"\npicture: {picture}\n")
    assert max(map(len, out.splitlines())) < 140
    assert picture.read_bytes().startswith(PNG)
    assert list(tmp_path.iterdir()) == [picture]


def test_no_flip_in_a_history_that_keeps_to_nothing(tmp_path: Path, capsys: Capture) -> None:
    """As many domains as kinds, and files drawn at random."""
    import random

    rng = random.Random(3)
    paths = [f"src/d{domain}/k{kind}.py" for domain in range(9) for kind in range(9)]
    changes = [
        Change(
            "chore" if at < 20 else "x",
            dict.fromkeys(rng.sample(paths, rng.randrange(2, 12)), f"{at}"),
        )
        for at in range(300)
    ]
    folder = repository(tmp_path / "even", changes)
    out = said(capsys, folder, "--seed", "3")
    assert "No flip is seen: by domain leads, " in out
    assert "at no files; by type leads at no files." in out.replace("\n", " ")
    assert "20 mechanical" in out
    assert "Mechanical commits apart: of 20 by domain touches fewer folders in " in out
    assert "picture" not in out
    assert said(capsys, folder, "--seed", "3") == out
    assert said(capsys, folder, "--seed", "4") != out


def test_rules_are_tried_in_order(by_domain: Path, capsys: Capture) -> None:
    some = "src/{domain:d1|d2}/{kind}.py"
    assert "10 of 150 paths match a rule; unmatched, for instance: src/d" in said(
        capsys, by_domain, rule=some
    )
    out = said(capsys, by_domain, "--rule", RULE, rule=some)
    assert "150 of 150 paths" in out


def test_shallow_clone_is_said(by_domain: Path, tmp_path: Path, capsys: Capture) -> None:
    git(tmp_path, "clone", "-q", "--depth", "300", by_domain.as_uri(), "shallow")
    git(tmp_path, "clone", "-q", "--depth", "3", by_domain.as_uri(), "shallower")
    out = said(capsys, tmp_path / "shallow")
    assert "a shallow clone: git fetch --unshallow gets the older commits" in out
    assert "300 commits" in out
    assert lab(tmp_path / "shallower") == 2
    err = capsys.readouterr().err
    assert "git fetch --unshallow" in err
    assert err.count("\n") == 1


def _empty(folder: Path) -> Path:
    git(folder, "init", "-q")
    return folder


def _few(folder: Path) -> Path:
    return repository(folder, grown_by_domain(15))


REFUSED: dict[str, tuple[Callable[[Path], Path], list[str], str]] = {
    "no folder": (lambda folder: folder / "none", [], "can't open the folder '.*none': name one"),
    "no history": (lambda folder: folder, [], "'.*' has no history: name a folder"),
    "no commits": (_empty, [], "no commits yet: name a repo"),
    "few commits": (
        _few,
        [],
        r"\d+ commits touch two or more .* of 15, .*fewer than 16 .*add a --rule",
    ),
    "no domain": (
        _few,
        ["--rule", "src/{kind}.py"],
        r"rule 'src/{kind}.py' has no {domain}: write",
    ),
    "no kind": (_few, ["--rule", "src/{domain}.py"], r"has no {kind}: write"),
    "bad rule": (_few, ["--rule", "{app}/{domain}/{kind}"], r"has {app}: write"),
    "not a picture": (_few, ["--output", "flip.jpg"], "flip.jpg doesn't end in .png: name"),
    "no such folder": (_few, ["--output", "/none/flip.png"], "/none/flip.png is in a folder that"),
    "seed": (_few, ["--seed", "-1"], "--seed.*0 to 4294967295.*'-1'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusal_is_one_line_and_status_2(
    name: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    make, more, says = REFUSED[name]
    assert lab(make(tmp_path), *more) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("lab structure: ")
    assert re.search(says, err)


def test_no_rule_at_all_or_none_that_matches(by_domain: Path, capsys: Capture) -> None:
    assert main(["structure", str(by_domain)]) == 2
    assert "--rule" in capsys.readouterr().err
    assert lab(by_domain, rule="app/{domain}/{kind}.py") == 2
    err = capsys.readouterr().err
    assert re.fullmatch(
        r"lab structure: no rule matches any of 150 paths, such as src/d\d+/.*\n", err
    )


def test_git_that_is_not_installed(
    by_domain: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert lab(by_domain) == 2
    assert "git can't be started" in capsys.readouterr().err


def test_nothing_is_written_where_it_fails(
    by_domain: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "kept.png"
    kept.write_bytes(b"as it was")
    assert lab(by_domain, "--output", str(kept), rule="x/{domain}/{kind}.py") == 2

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "write", full)
    assert lab(by_domain, "--output", str(kept)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "can't write" in err.splitlines()[-1]
    assert "No space left" in err
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"as it was"]
    (tmp_path / "folder.png").mkdir()
    assert lab(by_domain, "--output", str(tmp_path / "folder.png")) == 2
    assert "folder.png is a folder" in capsys.readouterr().err


def test_names_that_a_terminal_cannot_show(tmp_path: Path, capsys: Capture) -> None:
    changes = [
        Change("x", {f'"src/d\\033[31m{at % 5}/\\377{kind}.py"': f"{at}" for kind in "ab"})
        for at in range(40)
    ]
    folder = repository(tmp_path / "a$_{b$ü", changes)
    out = said(capsys, folder, "--output", str(tmp_path / "flip.png"))
    assert "\x1b" not in out
    assert r"d\x1b[31m0 2" in out
    assert r"\udcffa 5" in out
    out.encode()


def test_progress_from_two_seconds_on(
    by_domain: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git_history, "EVERY", 100)
    assert lab(by_domain) == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(structure, "QUIET_S", 0.0)
    assert lab(by_domain) == 0
    assert re.fullmatch(r"100 commits read, 0 s\n", capsys.readouterr().err)
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(structure, "LIVE_EVERY_S", 0.0)
    assert lab(by_domain) == 0
    assert terminal.getvalue().split("\r")[1:] == [
        f"{count} commits read, 0 s\x1b[K{end}"
        for count, end in ((100, ""), (200, ""), (300, ""), (400, "\n"))
    ]


def test_5000_commits(tmp_path: Path, capsys: Capture) -> None:
    """Within 20 s, with the picture: ten times what two busy cores take."""
    folder = repository(tmp_path / "big", grown_by_domain(5000, domains=100))
    begun_s = time.monotonic()
    out = said(capsys, folder, "--output", str(tmp_path / "flip.png"))
    assert time.monotonic() - begun_s < 20
    assert "5,000 commits" in out
    assert "500 of 500 paths" in out
    assert "A flip is seen" in out
