"""What is fixed about accounts."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

ALGORITHM = "HS256"
TOKEN_LIFETIME = timedelta(hours=1)


class ErrorCode(StrEnum):
    """What can go wrong with an account."""

    EMAIL_TAKEN = "auth: the address has an account"
    WRONG_CREDENTIALS = "auth: no such address and password"
    INVALID_TOKEN = "auth: the token is not valid"
