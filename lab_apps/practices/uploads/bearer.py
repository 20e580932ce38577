"""Who may upload: whoever shows the lab's token."""

from __future__ import annotations

import secrets
from typing import Annotated

from fastapi import Header, HTTPException

# A server reads on what a refused client goes on sending, unless the answer closes the connection.
CLOSE = {"Connection": "close"}
CHALLENGE = {"WWW-Authenticate": "Bearer"} | CLOSE


def is_signed_in(authorization: str) -> bool:
    """Whether the header's value is `Bearer lab`, compared in a time that tells nothing."""
    return secrets.compare_digest(authorization.encode(), b"Bearer lab")


async def signed_in(authorization: Annotated[str, Header()] = "") -> None:
    """A dependency: raises HTTPException 401 for who has no token."""
    if not is_signed_in(authorization):
        raise HTTPException(401, "send the header Authorization: Bearer lab", CHALLENGE)
