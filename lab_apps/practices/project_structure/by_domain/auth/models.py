"""The table of the users, and its rows."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

TABLE = """
CREATE TABLE IF NOT EXISTS users (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    email text NOT NULL UNIQUE,
    password bytea NOT NULL
)
"""


@dataclass(frozen=True)
class User:
    """A row; `password` is a salt and the hash."""

    id: UUID
    email: str
    password: bytes
