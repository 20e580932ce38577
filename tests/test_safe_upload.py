"""The safe upload: whole files in their folder, nothing else anywhere, and never a 500."""

from __future__ import annotations

import stat
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, UploadFile
from safe_targets import MIB, TOKEN, Place, asked, form, own_place, upload

from lab_apps.instruments.hostile import Hostile, attack, corpus
from lab_apps.instruments.intake import offer
from lab_apps.instruments.server import serve
from lab_apps.practices.uploads import app, safe
from lab_apps.practices.uploads.folder import lifespan


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return own_place(tmp_path, monkeypatch)


def findings(
    app: FastAPI, place: Place, requests: list[Hostile], timeout_s: float = 10
) -> set[str]:
    """What is wrong with an app after these uploads to /safe; nothing should be."""
    before = place.outside()
    valid = next(one for one in requests if one.kind == "valid")
    with serve(app) as server:
        outcomes = attack(server.url, "/safe", requests, headers=TOKEN, timeout_s=timeout_s)
        results = [outcome.result for outcome in outcomes]
        serves = attack(server.url, "/safe", [valid], headers=TOKEN)[0].result == "201"
    whole = {one.sha256 for one in requests if one.sha256}
    stored = [sha256(file.read_bytes()).hexdigest() for file in place.stored()]
    wrong = {
        "500": "500" in results,
        # Not "closed": a server that refuses before it has read all may lose its answer by that.
        "silence": {"no answer", "refused"} & set(results),
        "outside": place.outside() != before,
        "incomplete": not whole.issuperset(stored),
        "count": len(stored) != results.count("201") + serves,
        "refused": any(
            one.sha256 and result != "201" for one, result in zip(requests, results, strict=True)
        ),
        "dead": not serves,
    }
    return {name for name, is_wrong in wrong.items() if is_wrong}


@pytest.mark.parametrize("seed", [1, 20220829])
def test_hostile_uploads(seed: int, place: Place) -> None:
    assert findings(app, place, corpus(seed)) == set()


naive = FastAPI(lifespan=lifespan)


@naive.post("/safe", status_code=201)
async def takes_the_name(file: UploadFile, request: Request) -> None:
    """Stores the file under the name that the client chose."""
    (request.app.state.folder / (file.filename or "")).write_bytes(await file.read())


hasty = FastAPI(lifespan=lifespan)


@hasty.post("/safe", status_code=201)
async def writes_as_it_comes(request: Request) -> None:
    """Writes what arrives to where it shall stay, whole or not."""
    number = len(list(request.app.state.folder.iterdir()))
    with (request.app.state.folder / str(number)).open("wb") as file:
        async for piece in request.stream():
            file.write(piece)


# Starlette leaves a spooled file open where the closing boundary is missing.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("broken", "found"), [(naive, {"500", "silence", "outside", "count"}), (hasty, {"incomplete"})]
)
def test_check_sees_unsafe_apps(broken: FastAPI, found: set[str], place: Place) -> None:
    assert found <= findings(broken, place, corpus(1), timeout_s=1)


def test_check_sees_what_starlette_lets_pass(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A charset that isn't one, which makes its parser raise a UnicodeError."""

    class AnyCharset:
        def __contains__(self, _: object) -> bool:
            return True

    monkeypatch.setattr(safe, "CHARSETS", AnyCharset())
    assert "500" in findings(app, place, corpus(1))


def test_stored_file(place: Place) -> None:
    """What is answered is what was sent and what is there, readable by its owner alone."""
    with serve(app) as server:
        for size in (1, MIB, MIB + 1, 3 * MIB):
            content = Random(size).randbytes(size)
            answer = upload(server.url, content, "../a\u202eb.jpg", data={"title": "lab"})
            assert answer.status_code == 201
            (file,) = place.stored()
            assert file.read_bytes() == content
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            assert answer.json() == {
                "id": file.name,
                "name": "ab.jpg",
                "size": size,
                "sha256": sha256(content).hexdigest(),
            }
            assert len(bytes.fromhex(file.name)) == 16
            file.unlink()


def test_what_is_refused(place: Place) -> None:
    """Another field, an empty file, two files, eleven fields, a long field, other content types."""
    file = ("plain", b"lab")
    with serve(app) as server:

        def status(**sent: Any) -> int:
            return httpx.post(f"{server.url}/safe", headers=[*TOKEN], **sent).status_code

        assert status(files={"photo": file}) == 400
        assert status(files={"file": ("plain", b"")}) == 400
        assert status(files=[("file", file), ("file", file)]) == 400
        assert status(files={"file": file}, data={str(number): "" for number in range(11)}) == 400
        assert status(files={"file": file}, data={"a": "x" * (2**16 + 1)}) == 400
        assert status(data={"file": "lab"}) == 415
        assert status(content=b"lab") == 415
        assert place.stored() == []
        assert status(files={"file": file}, data={str(number): "" for number in range(10)}) == 201
        assert status(files={"file": file}, data={"a": "x" * 2**16}) == 201
    assert len(place.stored()) == 2


def test_whoever_is_not_signed_in_is_refused_unread(place: Place) -> None:
    assert asked(form(1000), token=False) == (401, 0)
    with serve(app) as server:
        answer = httpx.post(f"{server.url}/safe", files={"file": ("plain", b"lab")})
        assert (answer.status_code, answer.headers["connection"]) == (401, "close")
        assert upload(server.url, b"lab").status_code == 201
    assert len(place.stored()) == 1


def test_refusals_end_the_connection(place: Place) -> None:
    """Or the server would read on and throw away what a client goes on sending."""
    body, kind = bytes(64 * MIB), ("Content-Type", "multipart/form-data; boundary=lab")
    with serve(app) as server:
        for headers, status in (((kind,), 401), ((kind, *TOKEN), 413), (TOKEN, 415)):
            answer = offer(server.url, "/safe", body, headers=headers, stops=False)
            assert answer.status == status
            assert answer.handed_bytes < len(body)
    assert place.stored() == []
