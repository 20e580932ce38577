"""Who asks: the user's id, from a signed token."""

from __future__ import annotations

from typing import Annotated

import jwt
from fastapi import Depends, HTTPException
from fastapi.security import OAuth2PasswordBearer

SECRET = "known to everybody who reads the lab's source"  # HS256 wants 32 bytes or more

bearer = OAuth2PasswordBearer(tokenUrl="token")


async def parse_jwt_data(token: Annotated[str, Depends(bearer)]) -> int:
    """A dependency: the user's id. Raises HTTPException 401 for a token that isn't ours."""
    try:
        return int(jwt.decode(token, SECRET, algorithms=["HS256"])["user_id"])
    except (jwt.InvalidTokenError, KeyError, ValueError) as error:
        raise HTTPException(401, "the token is not valid") from error


UserId = Annotated[int, Depends(parse_jwt_data)]


def signed(user_id: int) -> str:
    """A token for that user."""
    return jwt.encode({"user_id": user_id}, SECRET, algorithm="HS256")
