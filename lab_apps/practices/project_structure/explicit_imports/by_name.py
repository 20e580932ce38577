"""The names are imported. Two comments keep the type checker and the linter quiet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lab_apps.practices.project_structure.by_domain.auth.constants import ErrorCode
from lab_apps.practices.project_structure.by_domain.notifications.service import notify
from lab_apps.practices.project_structure.by_domain.posts.constants import ErrorCode  # type: ignore[assignment]  # noqa: F811


def notifier() -> Callable[..., Any]:
    """The function that would be called."""
    return notify


def error_codes() -> list[str]:
    """The codes of both domains: of one, in fact."""
    return [*ErrorCode]
