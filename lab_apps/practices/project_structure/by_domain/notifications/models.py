"""The table of the notifications, and its rows."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

TABLE = """
CREATE TABLE IF NOT EXISTS notifications (
    number bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    owner_id uuid NOT NULL REFERENCES users,
    actor_id uuid NOT NULL REFERENCES users,
    post_id uuid NOT NULL REFERENCES posts ON DELETE CASCADE,
    kind text NOT NULL
)
"""


@dataclass(frozen=True)
class Notification:
    """A row: the owner is told that the actor did that to the post."""

    number: int
    owner_id: UUID
    actor_id: UUID
    post_id: UUID
    kind: str
