"""Git repositories made by `git fast-import`, and the files that their commits touch."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

KINDS = ("router", "schemas", "service", "models", "tasks")
RULE = "src/{domain}/{kind}.py"


class Change(NamedTuple):
    """A commit: its message, and for each path its new content, or None for a deletion."""

    message: str
    content: Mapping[str, str | None]


def git(folder: Path, *args: str, stdin: bytes = b"") -> bytes:
    """What git says in that folder, with no settings but the repository's own."""
    command = ["git", "-C", str(folder), "-c", "user.name=x", "-c", "user.email=x@localhost"]
    return subprocess.run([*command, *args], input=stdin, check=True, capture_output=True).stdout


def repository(folder: Path, changes: Iterable[Change]) -> Path:
    """A repository whose branch has these commits, a minute apart; its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "fast-import", "--quiet", stdin=b"".join(_commits(changes)))
    return folder


def _commits(changes: Iterable[Change]) -> Iterable[bytes]:
    for number, change in enumerate(changes):
        message = change.message.encode()
        yield b"commit refs/heads/main\n"
        yield b"committer x <x@localhost> %d +0000\n" % (1_600_000_000 + 60 * number)
        yield b"data %d\n%s\n" % (len(message), message)
        for path, content in change.content.items():
            name = path.encode(errors="surrogateescape")
            if content is None:
                yield b"D %s\n" % name
            else:
                data = content.encode()
                yield b"M 100644 inline %s\ndata %d\n%s\n" % (name, len(data), data)


def grown_by_domain(commits: int, *, domains: int = 30, seed: int = 1) -> list[Change]:
    """Commits that stay in one domain where they are small, and spread over all where large."""
    rng = random.Random(seed)
    paths = [f"src/d{domain}/{kind}.py" for domain in range(domains) for kind in KINDS]
    changes = []
    for number in range(commits):
        files = rng.choice((1, 1, 2, 2, 3, 4, 5, 10))
        if files <= len(KINDS):
            at = len(KINDS) * rng.randrange(domains)
            touched = rng.sample(paths[at : at + len(KINDS)], files)
        else:
            touched = rng.sample(paths, files)
        changes.append(Change(f"change {number}", dict.fromkeys(touched, f"{number}\n")))
    return changes
