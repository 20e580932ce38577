"""What the exceptions of all domains have in common."""

from __future__ import annotations

from fastapi import HTTPException


class Refusal(HTTPException):
    """An answer other than the one asked for: a subclass says its status and its code."""

    status: int
    code: str

    def __init__(self) -> None:
        headers = {"WWW-Authenticate": "Bearer"} if self.status == 401 else None
        super().__init__(self.status, self.code, headers)
