"""The report: front page, scorecard, a page for each notebook, and the executed notebooks."""

from __future__ import annotations

import copy
import itertools
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from lab_apps.instruments import claims, machine, results
from lab_apps.report import pages
from lab_apps.report.execution import Executed, read, text
from lab_apps.report.files import CannotRun, choose, lines, write

SCORECARD = "scorecard.json"
VERDICTS = "verdicts.jsonl"
NO_VERDICT = "no verdict"


@dataclass(frozen=True)
class Row:
    """One line of the scorecard as shown."""

    id: str
    page: str
    statement: str
    verdict: str
    measured: str
    rounds: str


@dataclass(frozen=True)
class Section:
    """One notebook as shown on the front page."""

    page: str
    title: str
    seconds: float
    failure: str
    picture: pages.Picture | None


def prepare(out: Path) -> None:
    """Make the folder `out`. Raises CannotRun where it can't hold a report.

    Old pages in it will be removed, so a folder that has other things in it is refused.
    """
    remedy = "name a new or an empty folder: --out DIR"
    if out.exists() and not out.is_dir():
        raise CannotRun(f"{out} is a file: {remedy}")
    try:
        out.mkdir(parents=True, exist_ok=True)
        empty = not any(out.iterdir())
    except OSError as error:
        raise CannotRun(f"can't make a report in {out} ({error.strerror}): {remedy}") from None
    if not empty and not (out / SCORECARD).exists():
        raise CannotRun(f"{out} is not empty and holds no report of an earlier run: {remedy}")
    if not os.access(out, os.W_OK | os.X_OK):
        raise CannotRun(f"can't write to {out}: {remedy}")


def build(
    out: Path,
    executed: Sequence[Executed],
    entries: Sequence[Mapping[str, Any]],
    source: Path,
) -> Path:
    """Write the whole report to `out`, in place of the one there; return its front page.

    `entries` are the run's recorded verdicts; pictures named in the text are taken from `source`.
    """
    scorecard = _finite(results.scorecard([dict(entry) for entry in entries]))
    write(out / SCORECARD, json.dumps(scorecard, indent=1, allow_nan=False) + "\n")
    write(out / VERDICTS, lines(entries))
    for old in [*out.glob("*.html"), *out.glob("notebooks/*.ipynb")]:
        old.unlink()
    names = [one.name for one in executed]
    for one in executed:
        notebook = copy.copy(one.notebook)
        run = {"seconds": one.seconds, "failure": one.failure}
        notebook.metadata = {**one.notebook.metadata, "lab": run}
        write(out / "notebooks" / f"{one.name}.ipynb", text(notebook))
        write(out / _page(one.name), pages.page(one.notebook, one.name, source, names))
    front = out / "index.html"
    write(front, _front(executed, entries))
    return front


def load(out: Path) -> tuple[list[Executed], list[dict[str, Any]]]:
    """The notebooks and verdicts of the run that `out` holds. Raises CannotRun for none."""
    try:
        entries = results.read(out / VERDICTS)
        executed = []
        for path in choose(out / "notebooks"):
            notebook = read(path)
            executed.append(Executed(path.stem, notebook, **notebook.metadata.pop("lab")))
    except (OSError, ValueError, KeyError, CannotRun) as error:
        why = "" if isinstance(error, FileNotFoundError) else f" ({error})"
        raise CannotRun(f"there is no complete run in {out}{why}: lab run makes one") from None
    return executed, entries


def table(entries: Sequence[Mapping[str, Any]]) -> str:
    """The verdicts as plain text, a line each, for the end of a run."""
    if not entries:
        return "no verdicts"
    rows = [("claim", "verdict", "measured", "rounds")]
    rows += [(e["id"], e["outcome"], _measured(e), _rounds(e)) for e in entries]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _front(executed: Sequence[Executed], entries: Sequence[Mapping[str, Any]]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["code"] = _code
    sections = [_section(one) for one in executed]
    return environment.get_template("front.html.j2").render(
        rows=_rows(executed, entries),
        sections=sections,
        failed=[section for section in sections if section.failure],
        profile=entries[-1]["profile"] if entries else "",
        when=entries[-1]["when"] if entries else "",
        versions=entries[-1]["versions"] if entries else machine.versions(),
        machine=entries[-1]["machine"] if entries else machine.describe(),
    )


def _section(one: Executed) -> Section:
    title = pages.title(one.notebook, one.name)
    picture = pages.headline(one.notebook)
    return Section(_page(one.name), title, one.seconds, one.failure, picture)


def _rows(executed: Sequence[Executed], entries: Sequence[Mapping[str, Any]]) -> list[Row]:
    """The recorded verdicts, and the claims of these notebooks that came to none."""
    of_number = {one.name.partition("_")[0].lstrip("0") or "0": _page(one.name) for one in executed}

    def row(entry: Mapping[str, Any], verdict: str) -> Row:
        page = of_number.get(entry["id"].partition(".")[0], "")
        measured = _measured(entry)
        return Row(entry["id"], page, entry["statement"], verdict, measured, _rounds(entry))

    rows = [row(entry, entry["outcome"]) for entry in entries]
    judged = {entry["id"] for entry in entries}
    for claim in claims.load().values():
        if claim.id not in judged and claim.id.partition(".")[0] in of_number:
            rows.append(row({"id": claim.id, "statement": claim.statement}, NO_VERDICT))
    return sorted(rows, key=lambda row: results.claim_order(row.id))


def _measured(entry: Mapping[str, Any]) -> str:
    """What was seen: a ratio with its interval and threshold, or counts; and why, if undecided."""
    parts = []
    ratio, interval = entry.get("ratio"), entry.get("interval") or ()
    if ratio is not None and math.isfinite(ratio):
        between = " ({:.3g} to {:.3g})".format(*interval) if interval else ""
        parts.append(f"ratio {ratio:.3g}{between}, θ = {entry['theta']:g}")
    elif entry.get("observed"):
        parts.append(results.seen(entry["observed"], entry["reason"]))
    if entry.get("outcome") in ("inconclusive", "not measurable here"):
        parts.append(entry["reason"])
    return "; ".join(parts)


def _rounds(entry: Mapping[str, Any]) -> str:
    if not entry.get("rounds") and not entry.get("rejected"):
        return ""
    rejected = f" + {entry['rejected']} rejected" if entry["rejected"] else ""
    return f"{entry['rounds']}{rejected}"


def _page(name: str) -> str:
    """The file of a notebook's page; `index.html` is the report's front."""
    return "index_notebook.html" if name == "index" else f"{name}.html"


def _code(text: str) -> Markup:
    """The text with what stands between backticks as code."""
    parts = (escape(part) for part in text.split("`"))
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if odd else part
        for odd, part in zip(itertools.cycle((False, True)), parts, strict=False)
    )


def _finite(value: Any) -> Any:
    """The same with None for what JSON has no number for."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
