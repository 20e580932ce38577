"""What is sent and answered about posts."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, StringConstraints

# Postgres has no NUL in a text.
Text = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]


class NewPost(BaseModel):
    """What a client says of a post."""

    title: Text


class Post(NewPost):
    """A post."""

    id: UUID
    author_id: UUID


class NewComment(BaseModel):
    """What a client says to a post."""

    text: Text


class Comment(NewComment):
    """A comment."""

    author_id: UUID


class Attachment(BaseModel):
    """A file of a post."""

    id: UUID
