"""Which post is meant, and whose it is."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Depends

from lab_apps.practices.project_structure.by_type.database import Database
from lab_apps.practices.project_structure.by_type.dependencies import auth as auth_dependencies
from lab_apps.practices.project_structure.by_type.exceptions import posts as exceptions
from lab_apps.practices.project_structure.by_type.models import posts as models
from lab_apps.practices.project_structure.by_type.services import posts as service


async def valid_post_id(
    post_id: UUID, _: auth_dependencies.CurrentUser, db: Database
) -> models.Post:
    """A dependency: the post of the path, for any user. Raises PostNotFound."""
    return await service.read(db, post_id)


ValidPost = Annotated[models.Post, Depends(valid_post_id)]


async def owned_post(post: ValidPost, user: auth_dependencies.CurrentUser) -> models.Post:
    """A dependency: the post of the path, for its author alone. Raises NotTheAuthor."""
    if post.author_id != user.id:
        raise exceptions.NotTheAuthor
    return post


OwnedPost = Annotated[models.Post, Depends(owned_post)]
