"""The same checks as the article's graph, in one dependency and one query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException

from lab_apps.practices.dependency_cache.database import Queries
from lab_apps.practices.dependency_cache.split import Post
from lab_apps.practices.dependency_cache.tokens import UserId

router = APIRouter(prefix="/join/{way}/users/{user_id}/posts/{post_id}")

JOIN = """
SELECT posts.id, creator_id, title, is_active, is_creator
FROM posts JOIN users ON users.id = creator_id WHERE posts.id = %s
"""


@dataclass(frozen=True)
class PostAndCreator(Post):
    """A row of both tables."""

    is_active: bool
    is_creator: bool


async def valid_post_of_active_creator(post_id: int, user_id: UserId, queries: Queries) -> Post:
    """A dependency: the post, or the HTTPException that the article's four would have raised."""
    post = await queries.one(PostAndCreator, JOIN, post_id)
    if post is None:
        raise HTTPException(404, "no such post")
    if post.creator_id != user_id:
        raise HTTPException(403, "not your post")
    if not post.is_active:
        raise HTTPException(403, "you are banned")
    if not post.is_creator:
        raise HTTPException(403, "not a creator")
    return Post(post.id, post.creator_id, post.title)


@router.get("")
async def get_user_post(post: Annotated[Post, Depends(valid_post_of_active_creator)]) -> Post:
    """The article's route."""
    return post
