"""The locks and environment.yml: plain pins with hashes, for all that is declared."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LOCKS = ["requirements.lock", "requirements-dev.lock"]
GOOD_LOCK = "anyio==4.16.0 ; sys_platform == 'linux' \\\n    --hash=sha256:" + 64 * "0" + "\n"


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def requirements(lock: str) -> list[tuple[str, list[str]]]:
    """The locked requirements, each with its hashes."""
    lines = lock.replace("\\\n", " ").splitlines()
    parts = [line.split(" --hash=") for line in lines if line.strip()]
    return [(head.strip(), [hash_.strip() for hash_ in hashes]) for head, *hashes in parts]


def pins(lock: str) -> set[str]:
    return {pin for pin, _ in requirements(lock)}


def lock_problems(lock: str) -> list[str]:
    """What keeps a lock from installing the same everywhere: places, loose pins, missing hashes."""
    problems = []
    for pin, hashes in requirements(lock):
        if not re.fullmatch(r"[\w.-]+==[\w.!+]+( ; [^/]+)?", pin):
            problems.append(f"not a plain pin: {pin}")
        elif not hashes or not all(re.fullmatch(r"sha256:[0-9a-f]{64}", hash_) for hash_ in hashes):
            problems.append(f"without a hash: {pin}")
    return problems


def unlocked(dependencies: list[str], lock: str) -> list[str]:
    """The dependencies which no pin of the lock fulfils."""
    locked: dict[str, list[str]] = {}
    for pin in pins(lock):
        name, _, version = pin.partition(" ")[0].partition("==")
        locked.setdefault(canonicalize_name(name), []).append(version)
    return [
        text
        for text in dependencies
        for wanted in [Requirement(text)]
        if not any(
            wanted.specifier.contains(v) for v in locked.get(canonicalize_name(wanted.name), [])
        )
    ]


@pytest.mark.parametrize("name", LOCKS)
def test_lock_names_no_place_and_hashes_everything(name: str) -> None:
    assert lock_problems((ROOT / name).read_text()) == []


@pytest.mark.parametrize(
    "broken",
    [
        GOOD_LOCK.split(" \\")[0] + "\n",
        GOOD_LOCK.replace("==", ">="),
        GOOD_LOCK + "# from ../requirements.in\n",
        GOOD_LOCK + "--index-url https://example.org/simple\n",
        GOOD_LOCK + "-e .\n",
        GOOD_LOCK.replace("anyio==4.16.0", "anyio @ https://example.org/anyio.whl"),
        GOOD_LOCK.replace("sha256:0", "sha256:"),
    ],
)
def test_lock_check_sees_what_it_is_for(broken: str) -> None:
    assert lock_problems(GOOD_LOCK) == []
    assert len(lock_problems(broken)) == 1


def test_dev_lock_contains_the_core_lock() -> None:
    core, dev = (pins((ROOT / name).read_text()) for name in LOCKS)
    assert core
    assert core <= dev
    assert not pins(GOOD_LOCK.replace("4.16.0", "4.15.0")) <= dev  # another version is seen


def test_locks_cover_the_dependencies() -> None:
    core, dev = ((ROOT / name).read_text() for name in LOCKS)
    of = project()["project"]
    assert unlocked([*of["dependencies"], *project()["build-system"]["requires"]], core) == []
    extras = of["optional-dependencies"]
    assert unlocked(extras.pop("dev"), dev) == []
    assert unlocked([one for extra in extras.values() for one in extra], core) == []
    assert unlocked(["anyio>=4", "anyio>=5", "flask"], GOOD_LOCK) == ["anyio>=5", "flask"]


def test_conda_environment_is_the_core_lock() -> None:
    *plain, pip = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    assert pip == {"pip": ["-r requirements.lock"]}
    python, also = plain
    assert also == "pip"
    version = python.removeprefix("python=")
    assert SpecifierSet(project()["project"]["requires-python"]).contains(version)
    assert not SpecifierSet(project()["project"]["requires-python"]).contains("3.10")
