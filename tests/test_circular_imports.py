"""Practice 1: which imports in a circle fail, and what a name imported from a domain takes away.

Every outcome is that of a fresh interpreter, for this Python.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lab_apps.practices.project_structure.by_domain.auth import constants as auth_constants
from lab_apps.practices.project_structure.by_domain.notifications import (
    service as notifications_service,
)
from lab_apps.practices.project_structure.by_domain.posts import constants as posts_constants
from lab_apps.practices.project_structure.explicit_imports import by_module, by_name

CIRCULAR = "lab_apps.practices.project_structure.circular"
FINE, NAME, ATTRIBUTE = "", "ImportError: cannot import name", "AttributeError: "

# Two modules a and b, each of which imports the other so, and calls it so.
FORMS = {
    "name": ("from pkg.{other} import f_{other}", "f_{other}()"),
    "module": ("from pkg import {other} as other", "other.f_{other}()"),
    "dotted": ("import pkg.{other} as other", "other.f_{other}()"),
    "whole": ("import pkg.{other}", "pkg.{other}.f_{other}()"),
    "in function": (
        "def call():\n    from pkg.{other} import f_{other}\n    return f_{other}()",
        "call()",
    ),
}


def ending(code: str, folder: Path | None = None) -> str:
    """The last line on stderr of a fresh interpreter that runs the code, "" where it ends well."""
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=30)
    assert bool(done.returncode) == bool(done.stderr)
    return done.stderr.strip().rpartition("\n")[2]


def check_ending(said: str, expected: str) -> None:
    """It says what was expected, and that the imports run in a circle."""
    assert said.startswith(expected) if expected else said == ""
    assert ("circular import" in said) == bool(expected)


def package(folder: Path, a: str, b: str) -> None:
    """A package of two modules in that folder."""
    (folder / "pkg").mkdir()
    for name, source in (("__init__", ""), ("a", a), ("b", b)):
        (folder / "pkg" / f"{name}.py").write_text(source)


def module(form: str, name: str, other: str, *, at_import: bool) -> str:
    """One of the two: it calls the other when it is called, or while it is imported."""
    statement, call = (part.format(other=other) for part in FORMS[form])
    used = f"USED = {call}\n" if at_import else ""
    return f"{statement}\n{used}def f_{name}():\n    return 1\ndef g_{name}():\n    return {call}\n"


@pytest.mark.parametrize(
    ("form", "outcomes"),
    [  # a used when it is called; by b at import, with a imported first; the same with b first
        ("name", (NAME, NAME, NAME)),
        ("module", (FINE, ATTRIBUTE, FINE)),
        ("dotted", (FINE, ATTRIBUTE, FINE)),
        ("whole", (FINE, ATTRIBUTE, FINE)),
        ("in function", (FINE, FINE, FINE)),
    ],
)
def test_forms(tmp_path: Path, form: str, outcomes: tuple[str, str, str]) -> None:
    for at_import, first, expected in zip((False, True, True), "aab", outcomes, strict=True):
        folder = tmp_path / f"{at_import}{first}"
        folder.mkdir()
        a = module(form, "a", "b", at_import=False)
        package(folder, a, module(form, "b", "a", at_import=at_import))
        use = f"assert pkg.{first}.g_{first}() == 1"
        check_ending(ending(f"import pkg.{first}; {use}", folder), expected)


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ("broken", NAME),
        ("broken.posts", NAME),
        ("broken.notifications", NAME),
        ("by_module.posts", FINE),
        ("by_module.notifications", FINE),
        ("early.posts", ATTRIBUTE),
        ("early.notifications", FINE),
        ("resolved.posts", FINE),
        ("resolved.notifications", FINE),
    ],
)
def test_specimens(first: str, expected: str) -> None:
    form = first.partition(".")[0]
    code = f"import {CIRCULAR}.{first}; from {CIRCULAR}.{form}.posts import comment; "
    check_ending(ending(code + "assert comment(7) == 'new comment on post 7'"), expected)


def test_check_sees_another_outcome() -> None:
    for said, expected in (("", NAME), (f"{NAME} 'f'", NAME), (f"{NAME} (a circular import)", "")):
        with pytest.raises(AssertionError):
            check_ending(said, expected)


def test_only_a_module_lets_itself_be_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    before = notifications_service.notify
    assert by_name.notifier() is by_module.notifier() is before
    monkeypatch.setattr(notifications_service, "notify", print)
    assert by_module.notifier() is print
    assert by_name.notifier() is before


def test_of_names_that_are_alike_the_last_stays() -> None:
    assert by_module.error_codes() == [*auth_constants.ErrorCode, *posts_constants.ErrorCode]
    assert by_name.error_codes() == [*posts_constants.ErrorCode]
