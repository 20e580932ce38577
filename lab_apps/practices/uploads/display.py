"""The name under which an upload is shown: what the client called it, made harmless."""

from __future__ import annotations

import re
import unicodedata

FALLBACK = "upload"
CHARACTERS, BYTES = 100, 255


def display_name(sent: str) -> str:
    """A name to show, of at most 100 characters and 255 bytes of UTF-8, or "upload".

    Never a place to store anything. Without control, format (and so bidirectional), surrogate,
    private and unassigned characters and line separators; compatibility forms are replaced by what
    they look like (NFKC), which turns full-width slashes and dots into real ones, before the last
    component of the path is taken. Text for a page still has to be escaped there.
    """
    visible = "".join(
        character
        for character in sent
        if (category := unicodedata.category(character))[0] != "C" and category not in ("Zl", "Zp")
    )
    name = re.split(r"[/\\]", unicodedata.normalize("NFKC", visible))[-1]
    cut = name.strip()[:CHARACTERS].encode()[:BYTES].decode(errors="ignore").strip()
    return FALLBACK if cut in ("", ".", "..") else cut
