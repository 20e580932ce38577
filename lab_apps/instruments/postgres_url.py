"""URLs of a Postgres: made, led into a schema, and said without their password."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote


def uri(params: Mapping[str, Any]) -> str:
    """A URI of libpq's parameters, which SQLAlchemy reads alike.

    Host and port stand in its query, because a folder as host fits nowhere else.
    """
    quoted = {key: quote(str(value), safe="") for key, value in params.items()}
    place = quoted.pop("user", "")
    if "password" in quoted:
        place += f":{quoted.pop('password')}"
    name = quoted.pop("dbname", "")
    query = "&".join("=".join(pair) for pair in quoted.items())
    return f"postgresql://{place}{place and '@'}/{name}{query and '?'}{query}"


def within(url: str, name: str) -> str:
    """The url with a schema as its search path and as the name of its sessions.

    Raises psycopg.ProgrammingError for what is no connection string.
    """
    from psycopg.conninfo import conninfo_to_dict

    params: dict[str, Any] = dict(conninfo_to_dict(url))
    params["options"] = f"{params.get('options', '')} -csearch_path={name}".strip()
    return uri(params | {"application_name": name})


def unusable(url: str, error: Exception, variable: str) -> str:
    """One line on a url from that environment variable that can't be used, without its password.

    What libpq says of a malformed one may hold a part of the password.
    """
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    params: dict[str, Any] = {}
    with contextlib.suppress(psycopg.Error):
        params |= conninfo_to_dict(url)
    if not params or any("@" in str(params.get(key)) for key in ("host", "port", "dbname")):
        return (
            f"{variable} is not a URL that libpq reads: postgresql://user:password@host:5432/name, "
            "where special characters in the password are percent-encoded"
        )
    shown = {key: params[key] for key in params if not re.search("password|secret|key", key)}
    return (
        f"{variable} ({uri(shown)}) can't be used: {one_line(error)}. Start that server, correct "
        f"the URL, or unset {variable} to have a Postgres started here"
    )


def one_line(error: Exception) -> str:
    """What the error says, on one line."""
    return " ".join(str(error).split())
