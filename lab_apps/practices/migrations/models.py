"""The tables as the newest revision leaves them: what autogenerate compares a database with."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    func,
)

# Postgres's own names. Without a convention a constraint has no name in a migration, and what has
# no name can't be dropped.
NAMING = {
    "ix": "%(column_0_label)s_idx",
    "uq": "%(table_name)s_%(column_0_name)s_key",
    "ck": "%(table_name)s_%(constraint_name)s_check",
    "fk": "%(table_name)s_%(column_0_name)s_fkey",
    "pk": "%(table_name)s_pkey",
}


def described(metadata: MetaData) -> MetaData:
    """Return `metadata` with the app's tables in it."""
    Table(
        "users",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("email", Text, nullable=False),
        UniqueConstraint("email"),
    )
    posts = Table(
        "posts",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("creator_id", Integer, ForeignKey("users.id"), nullable=False),
        Column("title", Text, nullable=False),
        Column("body", Text, nullable=False),
        Column("created_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
        Column("slug", Text),
        UniqueConstraint("slug"),
    )
    Index(None, posts.c.creator_id)
    return metadata


metadata = described(MetaData(naming_convention=NAMING))
