"""Posts: written, read and deleted; commented on, and files attached to them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from uuid import UUID

from psycopg.errors import ForeignKeyViolation

from lab_apps.practices.project_structure.by_type.clients import storage as storage_client
from lab_apps.practices.project_structure.by_type.constants import (
    notifications as notifications_constants,
)
from lab_apps.practices.project_structure.by_type.constants import posts as constants
from lab_apps.practices.project_structure.by_type.database import Connection, rows
from lab_apps.practices.project_structure.by_type.exceptions import posts as exceptions
from lab_apps.practices.project_structure.by_type.models import auth as auth_models
from lab_apps.practices.project_structure.by_type.models import posts as models
from lab_apps.practices.project_structure.by_type.services import (
    notifications as notifications_service,
)


async def write(db: Connection, author: auth_models.User, title: str) -> models.Post:
    """Store a post."""
    sql = "INSERT INTO posts (author_id, title) VALUES (%s, %s) RETURNING *"
    (post,) = await rows(db, models.Post, sql, author.id, title)
    return post


async def written_by(db: Connection, author: auth_models.User) -> list[models.Post]:
    """The author's posts, in order."""
    sql = "SELECT * FROM posts WHERE author_id = %s ORDER BY number"
    return await rows(db, models.Post, sql, author.id)


async def read(db: Connection, post_id: UUID) -> models.Post:
    """The post. Raises PostNotFound."""
    posts = await rows(db, models.Post, "SELECT * FROM posts WHERE id = %s", post_id)
    if not posts:
        raise exceptions.PostNotFound
    return posts[0]


@contextlib.contextmanager
def while_it_is_there() -> Iterator[None]:
    """Raise PostNotFound where the post has been deleted since it was read."""
    try:
        yield
    except ForeignKeyViolation:
        raise exceptions.PostNotFound from None


async def delete(db: Connection, storage: storage_client.Client, post: models.Post) -> None:
    """Delete the post, its comments, its notifications, and its files."""
    # The lock, so that a file attached meanwhile is either found here or refused.
    await db.execute("SELECT FROM posts WHERE id = %s FOR UPDATE", [post.id])
    sql = "DELETE FROM attachments WHERE post_id = %s RETURNING *"
    attachments = await rows(db, models.Attachment, sql, post.id)
    await db.execute("DELETE FROM posts WHERE id = %s", [post.id])
    for attachment in attachments:
        await storage.delete(attachment.id)


async def comment(
    db: Connection, post: models.Post, author: auth_models.User, text: str
) -> models.Comment:
    """Store a comment, and tell the author of the post. Raises PostNotFound."""
    sql = "INSERT INTO comments (post_id, author_id, text) VALUES (%s, %s, %s) RETURNING *"
    with while_it_is_there():
        (written,) = await rows(db, models.Comment, sql, post.id, author.id, text)
    kind = notifications_constants.Kind.COMMENTED
    await notifications_service.notify(
        db, post.author_id, kind, post_id=post.id, actor_id=author.id
    )
    return written


async def comments(db: Connection, post: models.Post) -> list[models.Comment]:
    """The comments on the post, in order."""
    sql = "SELECT * FROM comments WHERE post_id = %s ORDER BY number"
    return await rows(db, models.Comment, sql, post.id)


async def attach(
    db: Connection,
    storage: storage_client.Client,
    post: models.Post,
    actor: auth_models.User,
    content: bytes,
) -> models.Attachment:
    """Store a file of the post, and tell its author. Raises AttachmentTooLarge, PostNotFound."""
    if len(content) > constants.MAX_ATTACHMENT_BYTES:
        raise exceptions.AttachmentTooLarge
    sql = "INSERT INTO attachments (post_id) VALUES (%s) RETURNING *"
    with while_it_is_there():
        (attachment,) = await rows(db, models.Attachment, sql, post.id)
    kind = notifications_constants.Kind.ATTACHED
    await notifications_service.notify(db, post.author_id, kind, post_id=post.id, actor_id=actor.id)
    await storage.put(attachment.id, content)  # last: it can't be undone with the transaction
    return attachment


async def attached(
    db: Connection, storage: storage_client.Client, post: models.Post, attachment_id: UUID
) -> bytes:
    """A file of the post. Raises AttachmentNotFound, and FileMissing where the storage lost it."""
    sql = "SELECT * FROM attachments WHERE id = %s AND post_id = %s"
    if not await rows(db, models.Attachment, sql, attachment_id, post.id):
        raise exceptions.AttachmentNotFound
    return await storage.get(attachment_id)
