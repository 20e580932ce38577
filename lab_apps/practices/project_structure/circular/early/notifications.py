"""Notifications, which have to name the post."""

from collections.abc import Callable

from lab_apps.practices.project_structure.circular.early import posts as posts_service


def notify(post_id: int, title_of: Callable[[int], str] = posts_service.title) -> str:
    """The notice of a comment on the post. The default is evaluated when this is imported."""
    return f"new comment on {title_of(post_id)}"
