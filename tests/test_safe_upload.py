"""The safe upload: whole files in their folder, nothing else anywhere, and never a 500."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import errno
import os
import resource
import stat
import subprocess
import sys
import tempfile
import threading
import unicodedata
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import anyio
import httpx
import pytest
from fastapi import FastAPI, Request, UploadFile
from helpers import TESTS
from starlette.datastructures import UploadFile as FormFile

from lab_apps.instruments.hostile import NAMES, Hostile, attack, corpus
from lab_apps.instruments.intake import offer
from lab_apps.instruments.server import serve
from lab_apps.practices.uploads import app, safe
from lab_apps.practices.uploads.display import display_name
from lab_apps.practices.uploads.folder import lifespan
from lab_apps.practices.uploads.landing import Landing

MIB = 2**20
TOKEN = (("Authorization", "Bearer lab"),)


@dataclass(frozen=True)
class Place:
    """A target folder, with canaries in the two folders around it, and a folder for the spool."""

    root: Path

    @property
    def target(self) -> Path:
        return self.root / "around" / "inner" / "target"

    @property
    def spool(self) -> Path:
        return self.root / "spool"

    def stored(self) -> list[Path]:
        return sorted(self.target.iterdir())

    def outside(self) -> dict[str, bytes | None]:
        """Everything but what is in the target folder: paths, and the content of files."""
        found = {path for path in self.root.rglob("*") if self.target not in path.parents}
        return {str(path): path.read_bytes() if path.is_file() else None for path in found}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Folders of this test's own, for servers in this process and in others."""
    made = Place(tmp_path)
    made.target.mkdir(parents=True)
    made.spool.mkdir()
    for folder in (made.target.parent, made.target.parent.parent):
        (folder / "canary").write_text("sings")
    monkeypatch.setenv("UPLOADS_FOLDER", str(made.target))
    monkeypatch.setenv("TMPDIR", str(made.spool))
    monkeypatch.setattr(tempfile, "tempdir", str(made.spool))
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    return made


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


LIMIT = 512 * 2**10  # of a full disk


@contextlib.contextmanager
def forgetful(folder: Path) -> Iterator[Landing]:
    """Lands under the temporary name and never cleans up."""
    descriptor, name = tempfile.mkstemp(dir=folder, suffix=".part")
    with os.fdopen(descriptor, "wb") as file:
        yield Landing(name, file)


def limited() -> FastAPI:
    """The app in a process whose files may not grow beyond 512 KiB."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))
    return app


def limited_and_forgetful() -> FastAPI:
    vars(safe)["landing"] = forgetful
    return limited()


def upload(url: str, content: bytes, name: str = "plain.bin", **more: Any) -> httpx.Response:
    files = {"file": (name, content)}
    return httpx.post(f"{url}/safe", files=files, headers=[*TOKEN], timeout=20, **more)


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


FITS, IN_MEMORY, SPOOLED = 50_000, 700_000, 3 * MIB


def test_full_by_a_limit(place: Place) -> None:
    """The target is full for a file that is spooled in memory, the spool for a larger one."""
    with serve("test_safe_upload:limited", where="process") as server:
        check_full(server.url, place, {FITS: 201, IN_MEMORY: 507, SPOOLED: 507})


def test_check_sees_what_a_full_disk_leaves(place: Place) -> None:
    with (
        serve("test_safe_upload:limited_and_forgetful", where="process") as server,
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


def form(size: int) -> bytes:
    """A body of exactly that size."""
    head = b'--lab\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    end = b"\r\n--lab--\r\n"
    return head + bytes(size - len(head) - len(end)) + end


PIECE = 2**16


CONTENT_TYPE = "multipart/form-data ; boundary=lab"


async def ask(
    body: bytes,
    *,
    length: int | str | None = None,
    content_type: str = CONTENT_TYPE,
    token: bool = True,
    leaves: bool = False,
) -> tuple[int, int]:
    """Status and bytes pulled, of a form handed to the app in pieces, and past any server.

    `length` is what is declared; with `leaves` the client disconnects before the last piece.
    """
    headers = [(b"content-type", content_type.encode())]
    if token:
        headers.append((b"authorization", b"Bearer lab"))
    if length is not None:
        headers.append((b"content-length", str(length).encode()))
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/safe",
        "root_path": "",
        "query_string": b"",
        "headers": headers,
    }
    starts = iter(range(0, len(body), PIECE))
    pulled = status = 0

    async def receive() -> Any:
        nonlocal pulled
        start = next(starts)
        piece = body[start : start + PIECE]
        more = start + PIECE < len(body)
        if leaves and not more:
            return {"type": "http.disconnect"}
        pulled += len(piece)
        return {"type": "http.request", "body": piece, "more_body": more}

    async def send(message: Any) -> None:
        nonlocal status
        status = message.get("status", status)

    await app(scope, receive, send)
    return status, pulled


@contextlib.asynccontextmanager
async def begun() -> AsyncIterator[None]:
    async with lifespan(app):
        yield


def asked(*args: Any, **more: Any) -> tuple[int, int]:
    async def once() -> tuple[int, int]:
        async with begun():
            return await ask(*args, **more)

    return asyncio.run(once())


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


def test_whoever_is_not_signed_in_is_refused_unread(place: Place) -> None:
    assert asked(form(1000), token=False) == (401, 0)
    with serve(app) as server:
        answer = httpx.post(f"{server.url}/safe", files={"file": ("plain", b"lab")})
        assert (answer.status_code, answer.headers["connection"]) == (401, "close")
        assert upload(server.url, b"lab").status_code == 201
    assert len(place.stored()) == 1


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


@contextlib.contextmanager
def looked_up() -> Iterator[list[str]]:
    """The names of codecs that are looked up in the block and don't exist."""
    names: list[str] = []
    note = names.append  # it is unregistered by its identity
    codecs.register(note)
    try:
        yield names
    finally:
        codecs.unregister(note)


CODEC = "lab-no-codec"


def check_no_codec(place: Place) -> None:
    """A codec that the client names is never looked up, and the body not asked for."""
    with looked_up() as names:
        for charset in (CODEC, f'"{CODEC}"', f"{CODEC}\0", "punycode", "utf-7", "undefined"):
            content_type = f"{CONTENT_TYPE}; charset={charset}"
            assert asked(form(1000), content_type=content_type) == (400, 0)
        assert names == []
    assert place.stored() == []


def test_the_client_does_not_choose_the_codec(place: Place) -> None:
    """Some take long, on the event loop."""
    check_no_codec(place)


def test_check_sees_a_codec_of_the_client_s_choice(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with looked_up() as names:
        monkeypatch.setattr(safe, "check_content_type", lambda _: None)
        with pytest.raises(AssertionError):
            check_no_codec(place)
        assert names != []


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", "utf8", '"utf-8"', "us-ascii"])
def test_charsets_that_may_be_declared(charset: str, place: Place) -> None:
    assert asked(form(1000), content_type=f"{CONTENT_TYPE}; charset={charset}")[0] == 201
    assert len(place.stored()) == 1


def test_a_part_does_not_choose_the_codec(place: Place) -> None:
    """Neither by its own Content-Type, nor by RFC 5987, nor in a field of RFC 7578, 4.6."""
    part = (
        f"--lab\r\nContent-Type: text/plain; charset={CODEC}\r\n"
        f"Content-Disposition: form-data; name=\"title\"; name*={CODEC}''x\r\n\r\nlab\r\n"
        f'--lab\r\nContent-Disposition: form-data; name="_charset_"\r\n\r\n{CODEC}\r\n'
    )
    with looked_up() as names:
        assert asked(part.encode() + form(1000))[0] == 201
    assert names == []
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


SHOWN = {
    "photo.jpg": "photo.jpg",
    "../../etc/passwd": "passwd",
    "C:\\Users\\me\\photo.jpg": "photo.jpg",
    "a/b\\c": "c",
    "/": "upload",
    "..": "upload",
    "a/..": "upload",
    " . ": "upload",
    "": "upload",
    "photo\0.jpg": "photo.jpg",
    "photo\u202egpj.exe": "photogpj.exe",
    "\u2066..\u2069": "upload",
    "\ufeff\u200b": "upload",
    "．．／ｐａｓｓｗｄ": "passwd",
    "‥＼x": "x",
    "ﬁle①.txt": "file1.txt",
    "e\u200d\u0301": "é",
    "a\nb\u2028c\x7f": "abc",
    "\ud800x": "x",
    "naïve 😀.txt": "naïve 😀.txt",
    "...": "...",
    "n" * 300: "n" * 100,
    "é" * 300: "é" * 100,
    "😀" * 300: "😀" * 63,
}


@pytest.mark.parametrize(("sent", "shown"), SHOWN.items(), ids=map(str, range(len(SHOWN))))
def test_name_to_show(sent: str, shown: str) -> None:
    assert display_name(sent) == shown


def check_shown(show: Callable[[str], str]) -> None:
    """Whatever is sent, what is shown is harmless, short enough, and shown as it is."""
    rng = Random(1)
    odd = [*"/\\.\0 \u202e\u200d\u0301eé／＼．‥\ufdfa\ud800😀\u2028\u1100\u1161", "n" * 99]
    names = ["".join(rng.choices(odd, k=rng.randrange(12))) for _ in range(3000)]
    names += [chr(rng.randrange(sys.maxunicode + 1)) * 120 for _ in range(3000)]
    names += [name.decode("latin-1") for kind in NAMES.values() for name in kind]
    names += [name.decode(errors="ignore") for kind in NAMES.values() for name in kind]
    for name in names:
        shown = show(name)
        assert shown not in ("", ".", "..")
        assert len(shown) <= 100
        assert len(shown.encode()) <= 255
        assert not set(shown) & set("/\\")
        assert not {unicodedata.category(one) for one in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
        assert show(shown) == shown


def test_any_name_to_show() -> None:
    check_shown(display_name)


@pytest.mark.parametrize(
    "broken",
    [
        lambda name: name,
        lambda name: name.rpartition("/")[2][:100],
        lambda name: unicodedata.normalize("NFKC", display_name(name) * 2),
        lambda name: display_name(name) + ".",
    ],
)
def test_check_sees_names_not_to_show(broken: Callable[[str], str]) -> None:
    with pytest.raises((AssertionError, UnicodeEncodeError)):
        check_shown(broken)
