"""Templates that read a file's domain and kind from its path."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

EXAMPLE = "src/{domain}/{kind}.py"
PIECE = re.compile(r"\*\*/|\*\*|\*|\{[^{}]*\}|[^*{}]+|.", re.DOTALL)
WILD = {"**/": "(?:[^/]+/)*", "**": ".+", "*": "[^/]*"}


class RuleError(ValueError):
    """A rule that can't be understood; the text says in one line what is wrong, and the remedy."""


class Labels(NamedTuple):
    """What a path belongs to."""

    domain: str
    kind: str


@dataclass(frozen=True)
class Rule:
    """A template of whole paths, such as `src/{domain}/{kind}.py`.

    A placeholder is a folder's or a file's name, or a part of one; `{kind:models|service}` is one
    of those only. `*` is any name or part of one, `**` any folders, none included.
    """

    template: str
    pattern: re.Pattern[str]

    @classmethod
    def of(cls, template: str) -> Rule:
        """Understand a template. Raises RuleError."""
        pieces = PIECE.findall(template)
        for name in ("domain", "kind"):
            times = sum(_name(piece) == name for piece in pieces)
            if times != 1:
                raise RuleError(
                    f"rule {template!r} has {'two' if times else 'no'} {{{name}}}: write one"
                    f" {{domain}} and one {{kind}}, as in {EXAMPLE}"
                )
        if any("**" in folder and folder != "**" for folder in template.split("/")):
            raise RuleError(
                f"rule {template!r} has ** beside other letters: write it as a folder, as in"
                " src/{domain}/**/{kind}.py"
            )
        return cls(template, re.compile("".join(_pattern(p, template) for p in pieces), re.DOTALL))

    def labels(self, path: str) -> Labels | None:
        """The path's domain and kind, None where the rule doesn't match it."""
        match = self.pattern.fullmatch(path)
        return Labels(match["domain"], match["kind"]) if match else None


def _name(piece: str) -> str:
    """The name of a placeholder, "" for any other piece."""
    return piece[1:-1].partition(":")[0] if piece[0] == "{" else ""


def _pattern(piece: str, template: str) -> str:
    """A piece of a template as a regular expression."""
    if piece in WILD:
        return WILD[piece]
    if piece[0] not in "{}":
        return re.escape(piece)
    name, colon, only = piece[1:-1].partition(":")
    if name not in Labels._fields or (colon and not all(only.split("|"))):
        raise RuleError(
            f"rule {template!r} has {piece}: write {{domain}}, {{kind}}, or {{kind:models|service}}"
            " for these names only"
        )
    names = "|".join(map(re.escape, only.split("|"))) if colon else "[^/]+"
    return f"(?P<{name}>{names})"
