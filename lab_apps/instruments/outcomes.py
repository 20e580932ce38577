"""What became of each body in each form, as a table of short texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import httpx

Cells = dict[str, dict[str, str]]
# uvicorn closes the connection after a 500 without saying so: nothing may be sent on it again.
HEADERS = {"Content-Type": "application/json", "Connection": "close"}
MISSING = "–"


def posted(client: httpx.Client, path: str, body: bytes) -> str:
    """The `value` that the answer to this JSON body has, or its status where that isn't 200."""
    answer = client.post(path, content=body, headers=HEADERS)
    return str(answer.json()["value"]) if answer.status_code == 200 else str(answer.status_code)


def echoed(client: httpx.Client, secret: bytes, path: str, body: bytes) -> str:
    """Whether the answer to this JSON body has the secret in it: "echoed" or "kept"."""
    answer = client.post(path, content=body, headers=HEADERS)
    return "echoed" if secret in answer.content else "kept"


def table(
    rows: Mapping[str, tuple[str, bytes]],
    forms: Mapping[str, str | Callable[[str, bytes], str]],
    ask: Callable[[str, bytes], str],
) -> Cells:
    """A row for each of `rows`, a name and a body, and in it a text for each of `forms`.

    A form is a path, where `ask(path/name, body)` tells the text (`ask(path, body)` where the name
    is ""), or a function of name and body that does.
    """
    return {
        row: {
            column: form(name, body) if callable(form) else ask(f"{form}/{name}".rstrip("/"), body)
            for column, form in forms.items()
        }
        for row, (name, body) in rows.items()
    }


def flat(cells: Cells, *, only: str = "", without: str | None = None) -> dict[str, str]:
    """Each cell by "row | column", for an exact claim, save those that are "–".

    Of the columns that begin with `only` and not with `without`.
    """
    return {
        f"{row} | {column}": text
        for row, by_column in cells.items()
        for column, text in by_column.items()
        if text != MISSING
        and column.startswith(only)
        and (without is None or not column.startswith(without))
    }
