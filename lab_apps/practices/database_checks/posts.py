"""The article's dependency `valid_post_id`, the three routes that share it, and one to write."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, HTTPException
from pydantic import UUID4, BaseModel, Field

from lab_apps.practices.database_checks.database import Pool

router = APIRouter()


class PostUpdate(BaseModel):
    """What a client may say of a post."""

    title: Annotated[str, Field(min_length=1, max_length=200)]


class Post(PostUpdate):
    """A post as it is stored."""

    id: UUID


class Review(BaseModel):
    """A review of a post."""

    stars: int


async def valid_post_id(post_id: UUID4, pool: Pool) -> Post:
    """A dependency: the post of the path. Raises HTTPException 404 where there is none."""
    async with pool.connection() as db:
        found = await db.execute("SELECT title FROM posts WHERE id = %s", [post_id])
        row = await found.fetchone()
    if row is None:
        raise HTTPException(404, f"no post {post_id}")
    return Post(id=post_id, title=row[0])


ValidPost = Annotated[Post, Depends(valid_post_id)]


@router.post("/posts", status_code=201)
async def write(post: PostUpdate, pool: Pool) -> Post:
    """Store a new post."""
    written = Post(id=uuid4(), title=post.title)
    async with pool.connection() as db:
        await db.execute("INSERT INTO posts VALUES (%s, %s)", [written.id, written.title])
    return written


@router.get("/posts/{post_id}")
async def read(post: ValidPost) -> Post:
    """Answer with the post: the dependency has it already."""
    return post


@router.put("/posts/{post_id}")
async def update(post: ValidPost, new: PostUpdate, pool: Pool) -> Post:
    """Give the post another title."""
    async with pool.connection() as db:
        await db.execute("UPDATE posts SET title = %s WHERE id = %s", [new.title, post.id])
    return Post(id=post.id, title=new.title)


@router.get("/posts/{post_id}/reviews")
async def reviews(post: ValidPost, pool: Pool) -> list[Review]:
    """List the reviews of the post."""
    async with pool.connection() as db:
        found = await db.execute("SELECT stars FROM reviews WHERE post_id = %s", [post.id])
        return [Review(stars=stars) for (stars,) in await found.fetchall()]
