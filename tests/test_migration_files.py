"""What migration files are called: which names lose one, and which don't."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from migrated import HEAD, ON_BOTH, ON_POSTGRES, outcome

from lab_apps.practices.migrations import commands

ARTICLE = "%%(year)d-%%(month).2d-%%(day).2d_%%(slug)s"


@pytest.fixture(autouse=True)
def quiet(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Nothing that Alembic has to say reaches the notebook."""
    yield
    assert capfd.readouterr() == ("", "")


def names(folder: Path, before: set[Path]) -> list[str]:
    """The files that are new, without what the template puts before the slug."""
    found = sorted(set((folder / "versions").glob("*.py")) - before)
    return [path.stem.partition("_")[2] for path in found]


@pytest.mark.parametrize(
    ("messages", "left"),
    [
        (["post index", "post index"], ["post_index"]),
        (["Post index!", "post, index"], ["post_index"]),
        (["z first", "a second"], ["a_second", "z_first"]),
        ([None], [""]),
        (["a" * 41], ["a" * 40 + "_"]),
        (["add " + "word " * 8 + tail for tail in "xy"], ["add_" + "word_" * 7]),
    ],
)
def test_file_names_of_the_article(messages: list[str | None], left: list[str]) -> None:
    day = time.strftime("%F")
    found = written(messages)
    if time.strftime("%F") != day:  # midnight: the files have two dates
        found = written(messages)
    whole = "done" if len(left) == len(messages) else "KeyError"
    assert found == (left, [whole] * 3)


def written(messages: list[str | None]) -> tuple[list[str], list[str]]:
    """The slugs of the files that are left, and what three commands come to then."""
    with commands.copied() as folder:
        before = set((folder / "versions").glob("*.py"))
        config = commands.config(f"sqlite:///{folder}/lab.db", folder=folder)
        config.set_main_option("file_template", ARTICLE)
        for message in messages:
            command.revision(config, message=message)
        left = names(folder, before)
        said = [outcome(command.history, config), outcome(command.upgrade, config, "head")]
        return left, [*said, outcome(command.revision, config, message="more")]


def test_file_names_of_the_environment() -> None:
    """With the revision in the name nothing is replaced, and the files stand in their order."""
    with commands.copied() as folder:
        before = set((folder / "versions").glob("*.py"))
        config = commands.config(f"sqlite:///{folder}/lab.db", folder=folder)
        for _ in range(2):
            command.revision(config, message="post index")
        assert [name[-10:] for name in names(folder, before)] == ["post_index"] * 2
        command.upgrade(config, "head")
        found = [one.doc for one in ScriptDirectory.from_config(config).walk_revisions()]
        assert found.count("post index") == 2
    order = [one.path for one in ScriptDirectory.from_config(commands.config("")).walk_revisions()]
    assert [*map(Path, reversed(order))] == sorted((commands.ENVIRONMENT / "versions").glob("*.py"))


@pytest.mark.parametrize("trial", [*ON_BOTH, *ON_POSTGRES])
def test_each_trial_has_one_head_and_follows_the_app(trial: str) -> None:
    script = ScriptDirectory.from_config(commands.config("", trial))
    assert len(script.get_heads()) == 1
    assert HEAD in {one.revision for one in script.walk_revisions()}
    folders = {path.name for path in (commands.ENVIRONMENT / "trials").iterdir()}
    assert folders == {*ON_BOTH, *ON_POSTGRES} - {""}


def test_copies_go_again() -> None:
    before = sorted(commands.ENVIRONMENT.rglob("*.py"))
    with commands.copied() as folder:
        command.revision(commands.config("", folder=folder), message="in the copy")
    assert not folder.exists()
    assert sorted(commands.ENVIRONMENT.rglob("*.py")) == before
