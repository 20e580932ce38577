"""The tables of the posts and of what belongs to them, and their rows."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

TABLES = (
    """
    CREATE TABLE IF NOT EXISTS posts (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        number bigint GENERATED ALWAYS AS IDENTITY,
        author_id uuid NOT NULL REFERENCES users,
        title text NOT NULL
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS comments (
        number bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
        post_id uuid NOT NULL REFERENCES posts ON DELETE CASCADE,
        author_id uuid NOT NULL REFERENCES users,
        text text NOT NULL
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS attachments (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        post_id uuid NOT NULL REFERENCES posts ON DELETE CASCADE
    )
    """,
)


@dataclass(frozen=True)
class Post:
    """A row of the posts."""

    id: UUID
    number: int
    author_id: UUID
    title: str


@dataclass(frozen=True)
class Comment:
    """A row of the comments."""

    number: int
    post_id: UUID
    author_id: UUID
    text: str


@dataclass(frozen=True)
class Attachment:
    """A row of the attachments; its id is the storage's key."""

    id: UUID
    post_id: UUID
