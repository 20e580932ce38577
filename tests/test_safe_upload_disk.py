"""The safe upload on a full disk: 507, and only whole files are stored."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from fastapi import FastAPI
from safe_targets import MIB, Place, forgetful, own_place, upload

from lab_apps.instruments.server import serve
from lab_apps.practices.uploads import app, safe

LIMIT = 512 * 2**10  # of a full disk
FITS, IN_MEMORY, SPOOLED = 50_000, 700_000, 3 * MIB


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return own_place(tmp_path, monkeypatch)


def limited() -> FastAPI:
    """The app in a process whose files may not grow beyond 512 KiB."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))
    return app


def limited_and_forgetful() -> FastAPI:
    vars(safe)["landing"] = forgetful
    return limited()


def check_full(url: str, place: Place, statuses: dict[int, int]) -> None:
    """These sizes get these statuses, twice; only whole files are stored, and nothing outside."""
    before = place.outside()
    sizes = [*statuses, *statuses]
    contents = [Random(number).randbytes(size) for number, size in enumerate(sizes)]
    answers = [upload(url, content) for content in contents]
    assert [answer.status_code for answer in answers] == [statuses[size] for size in sizes]
    whole = {
        answer.json()["id"]: content
        for answer, content in zip(answers, contents, strict=True)
        if answer.status_code == 201
    }
    assert {file.name: file.read_bytes() for file in place.stored()} == whole
    assert place.outside() == before


def test_full_by_a_limit(place: Place) -> None:
    """The target is full for a file that is spooled in memory, the spool for a larger one."""
    with serve("test_safe_upload_disk:limited", where="process") as server:
        check_full(server.url, place, {FITS: 201, IN_MEMORY: 507, SPOOLED: 507})


def test_check_sees_what_a_full_disk_leaves(place: Place) -> None:
    with (
        serve("test_safe_upload_disk:limited_and_forgetful", where="process") as server,
        pytest.raises(AssertionError),
    ):
        check_full(server.url, place, {IN_MEMORY: 507})


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A real file system of 512 KiB."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("needs root to mount a tmpfs")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={LIMIT}", "lab", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("this root may not mount a tmpfs")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_full_target(place: Place) -> None:
    with small_disk(place.target), serve(app) as server:
        check_full(server.url, place, {FITS: 201, IN_MEMORY: 507, SPOOLED: 507})


def test_full_spool(place: Place) -> None:
    with small_disk(place.spool), serve(app) as server:
        check_full(server.url, place, {FITS: 201, IN_MEMORY: 201, SPOOLED: 507})
