"""The modules are imported, each under an alias of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lab_apps.practices.project_structure.by_domain.auth import constants as auth_constants
from lab_apps.practices.project_structure.by_domain.notifications import (
    service as notifications_service,
)
from lab_apps.practices.project_structure.by_domain.posts import constants as posts_constants


def notifier() -> Callable[..., Any]:
    """The function that would be called."""
    return notifications_service.notify


def error_codes() -> list[str]:
    """The codes of both domains."""
    return [*auth_constants.ErrorCode, *posts_constants.ErrorCode]
