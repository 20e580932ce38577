"""Notifications: stored, and read by their owner."""

from __future__ import annotations

from uuid import UUID

from lab_apps.practices.project_structure.by_domain.database import Connection, rows
from lab_apps.practices.project_structure.by_domain.notifications import constants, models


async def notify(
    db: Connection, owner_id: UUID, kind: constants.Kind, *, post_id: UUID, actor_id: UUID
) -> None:
    """Tell the owner of what somebody else did; nobody is told of what they did themselves."""
    if actor_id != owner_id:
        await db.execute(
            "INSERT INTO notifications (owner_id, actor_id, post_id, kind) VALUES (%s, %s, %s, %s)",
            [owner_id, actor_id, post_id, kind],
        )


async def owned_by(db: Connection, owner_id: UUID) -> list[models.Notification]:
    """The owner's notifications, in order."""
    sql = "SELECT * FROM notifications WHERE owner_id = %s ORDER BY number"
    return await rows(db, models.Notification, sql, owner_id)
