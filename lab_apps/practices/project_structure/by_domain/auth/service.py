"""Accounts: registered, logged in, recognised."""

from __future__ import annotations

import hashlib
import hmac
import os
from datetime import UTC, datetime
from uuid import UUID

import jwt
from fastapi.concurrency import run_in_threadpool

from lab_apps.practices.project_structure.by_domain import config
from lab_apps.practices.project_structure.by_domain.auth import (
    constants,
    exceptions,
    models,
    schemas,
)
from lab_apps.practices.project_structure.by_domain.database import Connection, rows

SALT_BYTES = 16


def hashed(password: str, salt: bytes) -> bytes:
    """The salt and the hash. n is 2**14 or more where it matters: here it must not take time."""
    return salt + hashlib.scrypt(password.encode(), salt=salt, n=2**8, r=8, p=1)


async def register(db: Connection, new: schemas.Credentials) -> models.User:
    """Store a user. Raises EmailTaken."""
    password = await run_in_threadpool(hashed, new.password, os.urandom(SALT_BYTES))
    users = await rows(
        db,
        models.User,
        "INSERT INTO users (email, password) VALUES (%s, %s)"
        " ON CONFLICT (email) DO NOTHING RETURNING *",
        new.email,
        password,
    )
    if not users:
        raise exceptions.EmailTaken
    return users[0]


async def log_in(db: Connection, given: schemas.Credentials) -> str:
    """A token for the user. Raises WrongCredentials."""
    users = await rows(db, models.User, "SELECT * FROM users WHERE email = %s", given.email)
    if not users:
        raise exceptions.WrongCredentials
    (user,) = users
    password = await run_in_threadpool(hashed, given.password, user.password[:SALT_BYTES])
    if not hmac.compare_digest(password, user.password):
        raise exceptions.WrongCredentials
    claims = {"sub": str(user.id), "exp": datetime.now(UTC) + constants.TOKEN_LIFETIME}
    return jwt.encode(claims, config.SECRET, constants.ALGORITHM)


async def user_of(db: Connection, token: str) -> models.User:
    """The user whose token it is. Raises InvalidToken."""
    try:
        claims = jwt.decode(
            token,
            config.SECRET,
            algorithms=[constants.ALGORITHM],
            options={"require": ["sub", "exp"]},
        )
        user_id = UUID(claims["sub"])
    except (jwt.InvalidTokenError, ValueError) as error:
        raise exceptions.InvalidToken from error
    users = await rows(db, models.User, "SELECT * FROM users WHERE id = %s", user_id)
    if not users:
        raise exceptions.InvalidToken
    return users[0]
