"""Whatever ends a safe upload, the server, the client or a failed step, nothing stays."""

from __future__ import annotations

import asyncio
import errno
import threading
from pathlib import Path
from typing import Any

import anyio
import pytest
from safe_targets import MIB, PIECE, Place, ask, asked, begun, forgetful, form, own_place
from starlette.datastructures import UploadFile as FormFile

from lab_apps.practices.uploads import safe


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return own_place(tmp_path, monkeypatch)


def test_limit(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A declared length over it is refused unread, others as soon as they pass it."""
    limit = 5 * PIECE
    monkeypatch.setattr(safe, "LIMIT", limit)
    over = limit + 1
    assert asked(form(over), length=over) == (413, 0)
    assert asked(form(20 * PIECE)) == (413, 6 * PIECE)
    assert asked(form(over)) == (413, over)
    for digits in (20, 5000):  # more than int() would read
        assert asked(form(1000), length="9" * digits) == (413, 0)
    assert place.stored() == []
    assert asked(form(limit), length=limit) == (201, limit)
    assert asked(form(limit)) == (201, limit)
    assert len(place.stored()) == 2


@pytest.mark.parametrize("length", [999, 1001, "", "-5", "1_000", "\u0663"])
def test_length_that_is_not_the_body_s(length: int | str, place: Place) -> None:
    """Servers don't let it through; the route doesn't rely on that."""
    assert asked(form(1000), length=length)[0] == 400
    assert place.stored() == []


@pytest.mark.parametrize("size", [1000, 3 * PIECE, 3 * MIB])
def test_client_that_leaves(size: int, place: Place) -> None:
    before = place.outside()
    assert asked(form(size), leaves=True)[0] == 400
    assert place.stored() == []
    assert place.outside() == before


def failing(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device")


def check_nothing_stays(place: Place, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Where one step of storing fails, the spooled file is closed and nothing is stored."""
    closed = []
    close = FormFile.close

    async def noted(file: FormFile) -> None:
        await close(file)
        closed.append(file.filename)
        if step == "close":
            failing()

    monkeypatch.setattr(FormFile, "close", noted)
    if step != "close":
        monkeypatch.setattr(safe, step, failing)
    before = place.outside()
    assert asked(form(3 * MIB))[0] == 507
    assert "a" in closed
    assert place.stored() == []
    assert place.outside() == before


@pytest.mark.parametrize("step", ["landing", "copy", "display_name", "Stored", "close"])
def test_nothing_stays_where_a_step_fails(
    place: Place, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    check_nothing_stays(place, monkeypatch, step)


@pytest.mark.parametrize("step", ["copy", "display_name", "Stored", "close"])
def test_check_sees_what_a_failed_step_leaves(
    place: Place, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr(safe, "landing", forgetful)
    with pytest.raises(AssertionError):
        check_nothing_stays(place, monkeypatch, step)


def check_cancelled(place: Place, monkeypatch: pytest.MonkeyPatch, size: int, way: str) -> None:
    """Cancelled while a thread copies the file, by asyncio or by AnyIO: nothing stays."""
    copying, go_on, copied = threading.Event(), threading.Event(), threading.Event()

    def held(*args: Any) -> None:
        copying.set()
        go_on.wait(10)
        try:
            copy(*args)
        finally:
            copied.set()

    async def cancel() -> None:
        async with begun():
            if way == "asyncio":
                task = asyncio.create_task(ask(form(size)))
                await asyncio.to_thread(copying.wait, 10)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                go_on.set()
            else:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(ask, form(size))
                    await asyncio.to_thread(copying.wait, 10)
                    tasks.cancel_scope.cancel()
                    go_on.set()
            await asyncio.to_thread(copied.wait, 10)

    copy = safe.copy
    before = place.outside()
    monkeypatch.setattr(safe, "copy", held)
    asyncio.run(cancel())
    assert copied.is_set()
    assert place.stored() == []
    assert place.outside() == before


@pytest.mark.parametrize("way", ["asyncio", "anyio"])
@pytest.mark.parametrize("size", [1000, 3 * MIB])
def test_cancelled(place: Place, monkeypatch: pytest.MonkeyPatch, size: int, way: str) -> None:
    check_cancelled(place, monkeypatch, size, way)


@pytest.mark.parametrize("way", ["asyncio", "anyio"])
def test_check_sees_what_a_cancelled_upload_leaves(
    place: Place, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(safe, "landing", forgetful)
    with pytest.raises(AssertionError):
        check_cancelled(place, monkeypatch, 1000, way)
