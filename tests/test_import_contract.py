"""Contracts on a small package: kept as it is, broken by one import, and what they don't see."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab_apps.instruments.import_contract import copied, lint

HEAD = """
[tool.importlinter]
root_package = "app"
"""


def contract(kind: str, **options: list[str]) -> str:
    """A contract of that type as TOML, named like it."""
    lines = [f"{name} = {value}" for name, value in options.items()]
    head = ["[[tool.importlinter.contracts]]", f'name = "{kind}"', f'type = "{kind}"']
    return "\n".join([*head, *lines, ""])


CYCLES = contract("acyclic_siblings", ancestors=["app"])
LAYERS = contract("layers", layers=["router", "service"], containers=["app.posts"])
PROTECTED = contract(
    "protected", protected_modules=["app.auth.models"], allowed_importers=["app.auth"]
)
INDEPENDENT = contract(
    "independence",
    modules=["app.auth", "app.posts"],
    ignore_imports=["app.posts.service -> app.auth.service"],
)
FORBIDDEN = contract("forbidden", source_modules=["app.auth"], forbidden_modules=["app.posts"])
IMPORT = "from app.posts import service as posts_service"


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy, named app, of the package written.here; temporary files go to a folder of ours."""
    ours = tmp_path / "temporary"
    ours.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(ours))
    here = tmp_path / "written" / "here"
    for name, source in {
        "auth/service": "from written.here.auth import models",
        "auth/models": "",
        "posts/service": "from written.here.auth import service as auth_service",
        "posts/router": "from written.here.posts import service",
    }.items():
        file = here / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source)
    for folder in (here, here / "auth", here / "posts"):
        (folder / "__init__.py").touch()
    with copied("written.here", here, "app") as made:
        yield made
    assert list(ours.iterdir()) == []
    assert "written.here" in (here / "posts/router.py").read_text()


def test_copy_is_renamed(copy: Path) -> None:
    assert (copy / "posts/router.py").read_text() == "from app.posts import service"


def test_all_kept(copy: Path) -> None:
    seen = lint(copy, HEAD + CYCLES + LAYERS + PROTECTED + INDEPENDENT + FORBIDDEN)
    assert (seen.kept, seen.broken) == (5, 0)
    assert "Broken contracts" not in seen.said


@pytest.mark.parametrize(
    ("kind", "file", "line", "says"),
    [
        (CYCLES, "auth/service.py", IMPORT, "No cycles are allowed in app."),
        (FORBIDDEN, "auth/service.py", IMPORT, "app.auth.service -> app.posts.service"),
        (INDEPENDENT, "auth/service.py", IMPORT, "app.auth.service -> app.posts.service"),
        (
            LAYERS,
            "posts/service.py",
            "from app.posts import router",
            "app.posts.service -> app.posts.router",
        ),
        (
            PROTECTED,
            "posts/service.py",
            "from app.auth import models",
            "app.posts.service -> app.auth.models",
        ),
    ],
)
def test_violation_is_seen(copy: Path, kind: str, file: str, line: str, says: str) -> None:
    before = (copy / file).read_text()
    seen = lint(copy, HEAD + kind, {file: line})
    assert (seen.kept, seen.broken) == (0, 1)
    assert says in seen.said
    assert (copy / file).read_text() == before
    assert lint(copy, HEAD + kind).broken == 0


@pytest.mark.parametrize(
    ("lines", "broken"),
    [
        (f"def late():\n    {IMPORT}\n", 1),
        (f"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    {IMPORT}\n", 1),
        ("import importlib\nimportlib.import_module('app.posts.service')\n", 0),
        ("__import__('app.posts.service')\n", 0),
    ],
)
def test_what_is_seen(copy: Path, lines: str, broken: int) -> None:
    assert lint(copy, HEAD + CYCLES, {"auth/service.py": lines}).broken == broken


def test_type_checkers_can_be_left_out(copy: Path) -> None:
    contracts = HEAD + "exclude_type_checking_imports = true\n" + CYCLES
    lines = f"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    {IMPORT}\n"
    assert lint(copy, contracts, {"auth/service.py": lines}).broken == 0


def test_independence_is_by_chains(copy: Path) -> None:
    """Through a third module too, which a protected module is not."""
    (copy / "shared.py").write_text("from app.posts import router")
    seen = lint(copy, HEAD + INDEPENDENT + PROTECTED, {"auth/service.py": "from app import shared"})
    assert (seen.kept, seen.broken) == (1, 1)


def test_nothing_but_the_copy_stays(copy: Path) -> None:
    lint(copy, HEAD + CYCLES)
    assert [one.name for one in copy.parent.iterdir()] == ["app"]


@pytest.mark.parametrize(
    ("contracts", "says"),
    [
        ("[tool.importlinter]\nroot_package = 'no_such_package'\n" + CYCLES, "no_such_package"),
        (HEAD + CYCLES.replace("acyclic_siblings", "no_such_type"), "no_such_type"),
        (HEAD + CYCLES.replace("['app']", "['app.no_such']"), "app.no_such"),
        ("x = = 1", "Invalid value"),
    ],
)
def test_what_cannot_be_checked_is_one_line(copy: Path, contracts: str, says: str) -> None:
    with pytest.raises(RuntimeError, match="import-linter could not check: ") as caught:
        lint(copy, contracts)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_syntax_error_is_said_and_taken_back(copy: Path) -> None:
    before = (copy / "posts/service.py").read_text()
    with pytest.raises(RuntimeError, match=r"service\.py, line 2"):
        lint(copy, HEAD + CYCLES, {"posts/service.py": "def (:"})
    assert (copy / "posts/service.py").read_text() == before
