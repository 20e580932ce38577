"""The set-up: .ci/setup, postBuild and Makefile. Nothing here uses a network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_locks import LOCKS, ROOT


def script(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n" + body)
    path.chmod(0o755)
    return path


def test_post_build_installs_the_package(tmp_path: Path) -> None:
    script(tmp_path / "bin/python", 'echo "$PWD: $*"\n')
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        [ROOT / "postBuild"], cwd=tmp_path, env={"PATH": path}, capture_output=True, text=True
    )
    wanted = f"{ROOT.resolve()}: -m pip install --no-deps --no-build-isolation -e .\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, wanted, "")


class Copy:
    """The files that set-up needs, in a folder of their own, with a stand-in for Python.

    The stand-in is the real Python but for `-m venv`, which only puts the stand-in into .venv, and
    `-m pip`, which only notes its call; a file named pip-fails makes it print that and fail.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in [".ci/setup", "Makefile", "pyproject.toml", *LOCKS]:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
        self.python = script(
            folder / "an other/python",
            f"""case $* in
                *"-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
                *"-m pip"*) echo "$*" >>pip-calls; ! cat pip-fails 2>/dev/null ;;
                *) exec '{sys.executable}' "$@" ;;
            esac
            """,
        )

    def run(self, *command: str, python: Path | str = "") -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "PYTHON": str(python or self.python)}
        for make_sets in ("MAKEFLAGS", "MAKELEVEL", "PROFILE"):
            env.pop(make_sets, None)
        return subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True)

    def setup(self, mode: str, python: Path | str = "") -> subprocess.CompletedProcess[str]:
        return self.run(".ci/setup", mode, python=python)

    @property
    def venv(self) -> Path:
        return self.folder / ".venv"

    def pip_calls(self) -> list[str]:
        """The locks that pip was called with since the last look, and the package's own call."""
        calls = self.folder / "pip-calls"
        lines = calls.read_text().splitlines() if calls.exists() else []
        calls.unlink(missing_ok=True)
        return [line.rpartition(" ")[2] for line in lines]


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path / "my copy")


def assert_refused(done: subprocess.CompletedProcess[str], status: int, *said: str) -> None:
    """One line on stderr that says it all."""
    assert done.returncode == status
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith("\n")
    for text in said:
        assert text in done.stderr


REAL = f"exec '{sys.executable}' \"$@\"\n"
PYTHONS = {
    "old": ("echo hash 3.9.18 /usr/bin/python3.9\n", "Python 3.9.18, too old"),
    "ancient": ("echo hash 2.7.18 /usr/bin/python2\n", "Python 2.7.18, too old"),
    "just too old": ("echo hash 3.10.13 /usr/bin/python\n", "Python 3.10.13, too old"),
    "no python": ("echo hello\n", "does not answer as a Python does"),
    "shim": (
        "echo 'pyenv: not found' >&2\necho >&2\nexit 127\n",
        "does not start (exit status 127)",
    ),
    "no venv": (f'[ "$1" != -c ] || {{ echo no >&2; exit 1; }}\n{REAL}', "apt install python3."),
    "no disk": (f'[ "$2" != venv ] || {{ echo a; echo full; exit 1; }}\n{REAL}', ".venv: full"),
}


@pytest.mark.parametrize("name", PYTHONS)
def test_unfit_python_is_refused_in_one_line(copy: Copy, name: str) -> None:
    body, said = PYTHONS[name]
    python = script(copy.folder / "bin" / name, body)
    assert_refused(copy.setup("run", python), 1, str(python), said)
    assert not copy.venv.exists()


def test_missing_python_is_refused_in_one_line(copy: Copy) -> None:
    assert_refused(copy.setup("dev", "/nonexistent"), 1, "/nonexistent not found", "PYTHON=")
    assert not copy.venv.exists()


def test_unknown_mode_is_refused_in_one_line(copy: Copy) -> None:
    assert_refused(copy.setup("everything"), 2, "'everything'", "[run|dev]")


def test_missing_lock_is_refused_in_one_line(copy: Copy) -> None:
    (copy.folder / "requirements.lock").unlink()
    assert_refused(copy.setup("run"), 1, "requirements.lock is missing")


def test_refusal_check_sees_a_second_line(copy: Copy) -> None:
    done = copy.run("sh", "-c", "echo one >&2; echo two >&2; exit 1")
    with pytest.raises(AssertionError):
        assert_refused(done, 1, "one")


def test_set_up_once_then_at_once(copy: Copy) -> None:
    first = copy.setup("run")
    assert (first.returncode, first.stderr) == (0, "")
    assert "setting up .venv with Python" in first.stdout
    assert copy.pip_calls() == ["requirements.lock", "."]

    start = time.perf_counter()
    again = copy.setup("run")
    took = time.perf_counter() - start
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert copy.pip_calls() == []
    assert took < 1  # 0.02 s on a laptop at rest, and no pip in it


def test_dev_contains_run_but_not_the_reverse(copy: Copy) -> None:
    copy.setup("run")
    copy.pip_calls()
    copy.setup("dev")
    assert copy.pip_calls() == ["requirements-dev.lock", "."]
    copy.setup("run")
    assert copy.pip_calls() == []


@pytest.mark.parametrize("name", ["pyproject.toml", *LOCKS])
def test_changed_content_is_installed_again(copy: Copy, name: str) -> None:
    copy.setup("dev")
    copy.pip_calls()
    file = copy.folder / name
    os.utime(file)
    copy.setup("dev")
    assert copy.pip_calls() == []  # only newer
    file.write_text(file.read_text() + "\n")
    assert "updating .venv" in copy.setup("dev").stdout
    assert copy.pip_calls() == ["requirements-dev.lock", "."]


def test_failed_install_keeps_its_log_and_leaves_no_stamp(copy: Copy) -> None:
    fails = copy.folder / "pip-fails"
    fails.write_text("WARNING: Retrying\nERROR: No matching distribution found for anyio\nnotice\n")
    assert_refused(copy.setup("run"), 1, "no network", "found for anyio", ".venv/setup.log")
    assert "Retrying" in (copy.venv / "setup.log").read_text()
    assert not (copy.venv / "stamp").exists()

    fails.write_text("ERROR: [Errno 28] No space left on device\n")
    assert_refused(copy.setup("run"), 1, "disk is full")

    fails.unlink()
    assert copy.setup("run").returncode == 0
    assert (copy.venv / "stamp").exists()

    fails.write_text("ERROR: half an update\n")
    assert_refused(copy.setup("dev"), 1, "half an update")
    assert not (copy.venv / "stamp").exists()


def test_broken_venv_is_built_again(copy: Copy) -> None:
    copy.setup("dev")
    script(copy.venv / "bin/python", "echo gone >&2\nexit 127\n")
    done = copy.setup("run")
    assert (done.returncode, done.stderr) == (0, "")
    assert "setting up .venv" in done.stdout


def test_moved_venv_is_built_again(copy: Copy) -> None:
    copy.setup("dev")
    copy.folder = copy.folder.rename(copy.folder.with_name("moved"))
    copy.python = copy.folder / "an other/python"
    assert "setting up .venv" in copy.setup("dev").stdout


def test_other_python_builds_again(copy: Copy) -> None:
    copy.setup("dev")
    other = script(
        copy.folder / "bin/newer",
        f"""case $* in
            *hashlib*) echo hash 3.99.1 /usr/bin/python3.99 "$PWD" ;;
            *) exec '{copy.python}' "$@" ;;
        esac
        """,
    )
    assert "with Python 3.99.1" in copy.setup("dev", other).stdout


def test_make_takes_a_python_with_spaces_in_its_path(copy: Copy) -> None:
    done = copy.run("make", "setup", f"PYTHON={copy.python}", python="/nonexistent")
    assert (done.returncode, done.stderr) == (0, "")
    assert copy.pip_calls() == ["requirements-dev.lock", "."]


def test_make_refuses_an_unknown_profile_in_one_line(copy: Copy) -> None:
    assert_refused(copy.run("make", "run", "PROFILE=bogus"), 2, "'bogus'", "quick", "full")
    assert not copy.venv.exists()
    assert copy.run("make", "-n", "run", "PROFILE=full").returncode == 0
