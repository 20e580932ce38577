"""What `lab run --refresh` stores: executed notebooks, their headline pictures, the verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lab_apps.instruments import claims, machine, results
from lab_apps.report import comparison
from lab_apps.report.execution import Executed, text
from lab_apps.report.files import Checkout, lines, write
from lab_apps.report.pages import headline

LOOKS = 4


def why_not(executed: Executed) -> str:
    """Why this notebook can't be stored; "" where it can.

    Reasons are text on stderr, a verdict without a decision, no headline picture. A verdict that
    reads "not measurable here" is stored where this machine lacks what its claim declares to need.
    """
    for cell in executed.notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream" and output.name == "stderr":
                first = output.text.strip().splitlines()[0][:200] if output.text.strip() else ""
                return f"cell In [{cell.execution_count}] wrote to stderr: {first}"
        if "verdict" in cell.metadata.get("tags", []):
            number, outcome, _ = comparison.parse(cell.outputs)
            if outcome not in ("supported", "refuted") and not _is_impossible(number, outcome):
                return f"claim {number} is {outcome}: try again with less running beside it"
        if "headline" in cell.metadata.get("tags", []) and headline(executed.notebook) is None:
            return f"cell In [{cell.get('execution_count')}] is tagged headline without a picture"
    return ""


def _is_impossible(number: str, outcome: str) -> bool:
    """Whether this machine lacks what that claim needs in one of some looks; it comes and goes."""
    claim = claims.load().get(number)
    if claim is None or outcome != "not measurable here":
        return False
    return any(machine.lacks(claim.needs) is not None for _ in range(LOOKS))


def store(
    checkout: Checkout,
    executed: Sequence[Executed],
    entries: Sequence[Mapping[str, Any]],
    *,
    some: bool,
) -> None:
    """Write everything back. With `some` of the notebooks only, other claims' verdicts stay."""
    for one in executed:
        write(checkout.notebooks / f"{one.name}.ipynb", text(one.notebook))
        picture = headline(one.notebook)
        if picture:
            write(checkout.reference / f"{one.name}.png", picture.png)
    stored = checkout.reference / "verdicts.jsonl"
    if some and stored.exists():
        judged = {entry["id"] for entry in entries}
        others = [entry for entry in results.read(stored) if entry["id"] not in judged]
        entries = sorted([*entries, *others], key=lambda entry: results.claim_order(entry["id"]))
    write(stored, lines(entries))
