"""What the traps of practice 2 come to, by claim and cell, as claims.toml declares it."""

from __future__ import annotations

from functools import partial
from typing import Any

import httpx

from lab_apps.instruments.lookups import lookups
from lab_apps.instruments.outcomes import Cells, echoed, flat, posted, table
from lab_apps.practices.validation.traps import (
    addresses,
    coercions,
    defaults,
    failures,
    passwords,
    patterns,
    texts,
)

V1 = "Pydantic 1"


def grids(client: httpx.Client) -> dict[str, Cells]:
    """The grid of each claim that has one."""
    ask, secret = partial(posted, client), partial(echoed, client, passwords.PASSWORD)
    return {
        "2.1.1": table(patterns.ROWS, patterns.FORMS, ask),
        "2.1.3": table(coercions.rows(coercions.SENT), coercions.LAX_FORMS, ask),
        "2.1.4": table(addresses.rows(addresses.URLS), addresses.URL_FORMS, ask),
        "2.1.5": table(addresses.rows(addresses.EMAILS), addresses.EMAIL_FORMS, ask),
        "2.1.6": table(defaults.rows(defaults.DEFAULTS), defaults.FORMS, ask),
        "2.1.7": table(defaults.rows(defaults.NULLABLE), defaults.FORMS, ask),
        "2.1.8": table(failures.ROWS, failures.FORMS, ask),
        "2.1.9": table(passwords.ROWS, passwords.FORMS, secret),
        "2.1.10": table(coercions.rows(coercions.VALID), coercions.STRICT_FORMS, ask),
        "2.1.11": table(texts.ROWS, texts.FORMS, ask),
    }


def observed(client: httpx.Client) -> dict[str, dict[str, Any]]:
    """What is seen for each exact claim, as the notebook hands it to `claims.exact`."""
    found = grids(client)
    seen: dict[str, dict[str, Any]] = {id: flat(cells, without=V1) for id, cells in found.items()}
    seen["2.1.2"] = flat(patterns.buildable())
    seen["2.1.4"] |= addresses.uses()
    with lookups() as asked:
        accepted = addresses.syntax_only()
    seen["2.1.5"] |= {"accepted again": accepted, "asked of the network": len(asked)}
    seen["2.1.9"] |= flat(passwords.traced())
    old = {key: text for cells in found.values() for key, text in flat(cells, only=V1).items()}
    return seen | {"2.1.12": old}
