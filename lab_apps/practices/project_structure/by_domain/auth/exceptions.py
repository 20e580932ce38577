"""What goes wrong with accounts."""

from __future__ import annotations

from lab_apps.practices.project_structure.by_domain import exceptions as base
from lab_apps.practices.project_structure.by_domain.auth.constants import ErrorCode


class EmailTaken(base.Refusal):
    """The address has an account."""

    status, code = 409, ErrorCode.EMAIL_TAKEN


class WrongCredentials(base.Refusal):
    """There is no account with that address and that password."""

    status, code = 401, ErrorCode.WRONG_CREDENTIALS


class InvalidToken(base.Refusal):
    """The token isn't ours, has expired, or is of nobody."""

    status, code = 401, ErrorCode.INVALID_TOKEN
