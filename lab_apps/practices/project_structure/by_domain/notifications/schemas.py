"""What is answered about notifications."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel

from lab_apps.practices.project_structure.by_domain.notifications.constants import Kind


class Notification(BaseModel):
    """A notification, as its owner sees it."""

    kind: Kind
    post_id: UUID
    actor_id: UUID
