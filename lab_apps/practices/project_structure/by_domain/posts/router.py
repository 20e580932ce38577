"""The routes to posts: a user reads, comments on and attaches to any, and deletes their own."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Response, UploadFile

from lab_apps.practices.project_structure.by_domain.auth import dependencies as auth_dependencies
from lab_apps.practices.project_structure.by_domain.aws import dependencies as storage_dependencies
from lab_apps.practices.project_structure.by_domain.database import Database
from lab_apps.practices.project_structure.by_domain.posts import (
    constants,
    dependencies,
    models,
    schemas,
    service,
)

router = APIRouter(prefix="/posts", tags=["posts"])


@router.post("", status_code=201, response_model=schemas.Post)
async def write(
    new: schemas.NewPost, user: auth_dependencies.CurrentUser, db: Database
) -> models.Post:
    """Write a post."""
    return await service.write(db, user, new.title)


@router.get("", response_model=list[schemas.Post])
async def own(user: auth_dependencies.CurrentUser, db: Database) -> list[models.Post]:
    """List the user's own posts."""
    return await service.written_by(db, user)


@router.get("/{post_id}", response_model=schemas.Post)
async def read(post: dependencies.ValidPost) -> models.Post:
    """Read a post."""
    return post


@router.delete("/{post_id}", status_code=204)
async def delete(
    post: dependencies.OwnedPost, storage: storage_dependencies.Storage, db: Database
) -> None:
    """Delete a post of one's own, and what belongs to it."""
    await service.delete(db, storage, post)


@router.post("/{post_id}/comments", status_code=201, response_model=schemas.Comment)
async def comment(
    new: schemas.NewComment,
    post: dependencies.ValidPost,
    user: auth_dependencies.CurrentUser,
    db: Database,
) -> models.Comment:
    """Comment on a post."""
    return await service.comment(db, post, user, new.text)


@router.get("/{post_id}/comments", response_model=list[schemas.Comment])
async def comments(post: dependencies.ValidPost, db: Database) -> list[models.Comment]:
    """List the comments on a post."""
    return await service.comments(db, post)


@router.post("/{post_id}/attachments", status_code=201, response_model=schemas.Attachment)
async def attach(
    file: UploadFile,
    post: dependencies.ValidPost,
    user: auth_dependencies.CurrentUser,
    storage: storage_dependencies.Storage,
    db: Database,
) -> models.Attachment:
    """Attach a file to a post."""
    content = await file.read(constants.MAX_ATTACHMENT_BYTES + 1)
    return await service.attach(db, storage, post, user, content)


@router.get("/{post_id}/attachments/{attachment_id}", response_class=Response)
async def attached(
    attachment_id: UUID,
    post: dependencies.ValidPost,
    storage: storage_dependencies.Storage,
    db: Database,
) -> Response:
    """Get a file of a post."""
    content = await service.attached(db, storage, post, attachment_id)
    return Response(content, media_type="application/octet-stream")
