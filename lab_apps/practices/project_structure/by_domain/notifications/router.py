"""The route to a user's notifications."""

from __future__ import annotations

from fastapi import APIRouter

from lab_apps.practices.project_structure.by_domain.auth import dependencies as auth_dependencies
from lab_apps.practices.project_structure.by_domain.database import Database
from lab_apps.practices.project_structure.by_domain.notifications import models, schemas, service

router = APIRouter(prefix="/notifications", tags=["notifications"])


@router.get("", response_model=list[schemas.Notification])
async def own(user: auth_dependencies.CurrentUser, db: Database) -> list[models.Notification]:
    """List what others did to the user's posts."""
    return await service.owned_by(db, user.id)
