"""The name that is shown of an upload: harmless and short, whatever was sent."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable
from random import Random

import pytest

from lab_apps.instruments.hostile import NAMES
from lab_apps.practices.uploads.display import display_name

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
