"""What is sent and answered about accounts."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, EmailStr, Field


class Credentials(BaseModel):
    """What a client sends to register and to log in."""

    email: Annotated[EmailStr, AfterValidator(str.lower)]
    password: Annotated[str, Field(min_length=8, max_length=128)]


class User(BaseModel):
    """An account, as its owner sees it."""

    id: UUID
    email: str


class Token(BaseModel):
    """What a client sends along from then on."""

    access_token: str
    token_type: str = "bearer"
