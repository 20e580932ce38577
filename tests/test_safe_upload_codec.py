"""The codec of a safe upload's form: never one that the client names."""

from __future__ import annotations

import codecs
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from safe_targets import CONTENT_TYPE, Place, asked, form, own_place

from lab_apps.practices.uploads import safe

CODEC = "lab-no-codec"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return own_place(tmp_path, monkeypatch)


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
