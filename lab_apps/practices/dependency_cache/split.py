"""The article's graph: a route that needs two dependencies, which need others, two with a query.

As in the article but for the e-mail that its route sends in the background. Its path names a user
whom nobody looks at.
"""

# ruff: noqa: ARG001 - some dependencies are there for what they do, not for what they give

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException

from lab_apps.practices.dependency_cache.database import Queries
from lab_apps.practices.dependency_cache.tokens import UserId, parse_jwt_data

router = APIRouter(prefix="/split/{way}/users/{user_id}/posts/{post_id}")

POST = "SELECT id, creator_id, title FROM posts WHERE id = %s"
USER = "SELECT id, is_active, is_creator FROM users WHERE id = %s"


@dataclass(frozen=True)
class Post:
    """A row of posts."""

    id: int
    creator_id: int
    title: str


@dataclass(frozen=True)
class User:
    """A row of users."""

    id: int
    is_active: bool
    is_creator: bool


async def valid_post_id(post_id: int, queries: Queries) -> Post:
    """A dependency: the post that the path names, or HTTPException 404."""
    post = await queries.one(Post, POST, post_id)
    if post is None:
        raise HTTPException(404, "no such post")
    return post


async def valid_owned_post(post: Annotated[Post, Depends(valid_post_id)], user_id: UserId) -> Post:
    """A dependency: the post, or HTTPException 403 where it isn't the user's."""
    if post.creator_id != user_id:
        raise HTTPException(403, "not your post")
    return post


async def valid_active_creator(user_id: UserId, queries: Queries) -> User:
    """A dependency: the user who asks, or HTTPException 403 for who isn't an active creator."""
    user = await queries.one(User, USER, user_id)
    if user is None or not user.is_active:
        raise HTTPException(403, "you are banned")
    if not user.is_creator:
        raise HTTPException(403, "not a creator")
    return user


OwnedPost = Annotated[Post, Depends(valid_owned_post)]
ActiveCreator = Annotated[User, Depends(valid_active_creator)]


@router.get("")
async def get_user_post(post: OwnedPost, creator: ActiveCreator) -> Post:
    """The article's route."""
    return post


@router.get("/third-use")
async def third_use(post: OwnedPost, creator: ActiveCreator, user_id: UserId) -> Post:
    """With the third use of `parse_jwt_data` that the article speaks of and doesn't have."""
    return post


@router.get("/token-first", dependencies=[Depends(parse_jwt_data)])
async def token_first(post: OwnedPost, creator: ActiveCreator) -> Post:
    """Who has no token is refused before the database is asked: the decorator's come first."""
    return post


@router.get("/post-three-times")
async def post_three_times(
    one: Annotated[Post, Depends(valid_post_id)],
    two: Annotated[Post, Depends(valid_post_id)],
    owned: OwnedPost,
) -> Post:
    """Three who need the post."""
    return owned


@router.get("/post-three-times-uncached")
async def post_three_times_uncached(
    one: Annotated[Post, Depends(valid_post_id, use_cache=False)],
    two: Annotated[Post, Depends(valid_post_id, use_cache=False)],
    three: Annotated[Post, Depends(valid_post_id, use_cache=False)],
) -> Post:
    """The same without the cache."""
    return three


@router.get("/nothing")
async def nothing() -> Post:
    """The same answer with no dependency and no query."""
    return Post(1, 1, "one")
