"""Who is asking."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from lab_apps.practices.project_structure.by_domain.auth import models, service
from lab_apps.practices.project_structure.by_domain.database import Database

bearer = HTTPBearer()


async def current_user(
    given: Annotated[HTTPAuthorizationCredentials, Depends(bearer)], db: Database
) -> models.User:
    """A dependency: the user whose token it is. Raises InvalidToken."""
    return await service.user_of(db, given.credentials)


CurrentUser = Annotated[models.User, Depends(current_user)]
