"""The routes: posts by number, a new post, and users, which are in another table."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal, TypeAlias

from fastapi import APIRouter, Depends, HTTPException, Request
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from pydantic import BaseModel

Column: TypeAlias = Literal["body", "content"]


async def connected(request: Request) -> AsyncIterator[AsyncConnection[DictRow]]:
    """A connection of the app's pool, for one request."""
    async with request.app.state.pool.connection() as connection:
        yield connection


Connection = Annotated[AsyncConnection[DictRow], Depends(connected)]


class NewPost(BaseModel):
    """A post as it is sent."""

    title: str
    text: str


class Post(BaseModel):
    """A post as it is read; `text` is None where the column is NULL."""

    id: int
    title: str
    text: str | None


def routes(column: Column) -> APIRouter:
    """The routes of the app that keeps a post's text in that column."""
    router = APIRouter()

    @router.get("/posts/{post_id}", response_model=Post)
    async def read(post_id: int, connection: Connection) -> Any:
        """By its number."""
        query = f"SELECT id, title, {column} AS text FROM posts WHERE id = %s"
        return await one(connection, query, (post_id,))

    @router.get("/posts/{post_id}/star", response_model=Post)
    async def read_star(post_id: int, connection: Connection) -> Any:
        """The same with `SELECT *`."""
        query = f"SELECT *, {column} AS text FROM posts WHERE id = %s"
        return await one(connection, query, (post_id,))

    @router.post("/posts", status_code=201, response_model=Post)
    async def write(new: NewPost, connection: Connection) -> Any:
        """A new post of the first user."""
        query = (
            f"INSERT INTO posts (creator_id, title, {column}) VALUES (1, %s, %s)"
            f" RETURNING id, title, {column} AS text"
        )
        return await one(connection, query, (new.title, new.text))

    @router.get("/users/{user_id}")
    async def user(user_id: int, connection: Connection) -> dict[str, Any]:
        """From a table of its own."""
        return await one(connection, "SELECT id, email FROM users WHERE id = %s", (user_id,))

    return router


async def one(
    connection: AsyncConnection[DictRow], query: str, values: tuple[Any, ...]
) -> dict[str, Any]:
    """The first row, or 404."""
    row = await (await connection.execute(query, values)).fetchone()
    if row is None:
        raise HTTPException(404, "there is no such row")
    return row
