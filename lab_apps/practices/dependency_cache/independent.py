"""Two queries of which neither needs the other's result."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, TypeAlias

from fastapi import APIRouter, Depends

from lab_apps.practices.dependency_cache.database import Queries

router = APIRouter(prefix="/independent/{way}")


@dataclass(frozen=True)
class Count:
    """How many rows a table has."""

    rows: int


Counts: TypeAlias = tuple[Count | None, Count | None]


async def count_posts(queries: Queries) -> Count | None:
    """A dependency: number of posts."""
    return await queries.one(Count, "SELECT count(*) AS rows FROM posts")


async def count_users(queries: Queries) -> Count | None:
    """A dependency: number of users."""
    return await queries.one(Count, "SELECT count(*) AS rows FROM users")


async def count_both(queries: Queries) -> Counts:
    """A dependency: both, asked for at the same time."""
    return await asyncio.gather(count_posts(queries), count_users(queries))


@router.get("/two-dependencies")
async def two_dependencies(
    posts: Annotated[Count, Depends(count_posts)], users: Annotated[Count, Depends(count_users)]
) -> Counts:
    """A dependency for each."""
    return posts, users


@router.get("/gathered")
async def gathered(
    both: Annotated[tuple[Count, Count], Depends(count_both)],
) -> tuple[Count, Count]:
    """One dependency for both."""
    return both
