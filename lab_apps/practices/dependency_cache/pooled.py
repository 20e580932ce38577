"""The article's graph without its queries, as coroutines and as plain functions."""

# ruff: noqa: ARG001 - some dependencies are there for what they do, not for what they give

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

router = APIRouter(prefix="/pooled")


async def async_token() -> int:
    """As `parse_jwt_data`."""
    return 1


async def async_post() -> int:
    """As `valid_post_id`."""
    return 1


async def async_owned(
    post: Annotated[int, Depends(async_post)], token: Annotated[int, Depends(async_token)]
) -> int:
    """As `valid_owned_post`."""
    return post


async def async_creator(token: Annotated[int, Depends(async_token)]) -> int:
    """As `valid_active_creator`."""
    return token


def def_token() -> int:
    """As `parse_jwt_data`."""
    return 1


def def_post() -> int:
    """As `valid_post_id`."""
    return 1


def def_owned(
    post: Annotated[int, Depends(def_post)], token: Annotated[int, Depends(def_token)]
) -> int:
    """As `valid_owned_post`."""
    return post


def def_creator(token: Annotated[int, Depends(def_token)]) -> int:
    """As `valid_active_creator`."""
    return token


@router.get("/async")
async def in_async(
    post: Annotated[int, Depends(async_owned)], creator: Annotated[int, Depends(async_creator)]
) -> int:
    """All four are `async`."""
    return post


@router.get("/def")
async def in_def(
    post: Annotated[int, Depends(def_owned)], creator: Annotated[int, Depends(def_creator)]
) -> int:
    """All four are `def`."""
    return post


@router.get("/def-uncached")
async def in_def_uncached(
    post: Annotated[int, Depends(def_owned, use_cache=False)],
    again: Annotated[int, Depends(def_owned, use_cache=False)],
) -> int:
    """`def_owned` twice without the cache: what it needs itself is cached all the same."""
    return again
