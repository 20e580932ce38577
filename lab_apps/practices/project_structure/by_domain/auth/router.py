"""The routes to an account and to a token."""

from __future__ import annotations

from fastapi import APIRouter

from lab_apps.practices.project_structure.by_domain.auth import models, schemas, service
from lab_apps.practices.project_structure.by_domain.database import Database

router = APIRouter(prefix="/auth", tags=["auth"])


@router.post("/users", status_code=201, response_model=schemas.User)
async def register(new: schemas.Credentials, db: Database) -> models.User:
    """Open an account."""
    return await service.register(db, new)


@router.post("/token")
async def log_in(given: schemas.Credentials, db: Database) -> schemas.Token:
    """Get a token for the account."""
    return schemas.Token(access_token=await service.log_in(db, given))
