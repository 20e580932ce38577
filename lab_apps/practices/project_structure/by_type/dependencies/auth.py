"""Who is asking."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from lab_apps.practices.project_structure.by_type.database import Database
from lab_apps.practices.project_structure.by_type.models import auth as models
from lab_apps.practices.project_structure.by_type.services import auth as service

bearer = HTTPBearer()


async def current_user(
    given: Annotated[HTTPAuthorizationCredentials, Depends(bearer)], db: Database
) -> models.User:
    """A dependency: the user whose token it is. Raises InvalidToken."""
    return await service.user_of(db, given.credentials)


CurrentUser = Annotated[models.User, Depends(current_user)]
