"""Notifications, which have to name the post."""

from lab_apps.practices.project_structure.circular.resolved import titles


def notify(post_id: int) -> str:
    """The notice of a comment on the post."""
    return f"new comment on {titles.title(post_id)}"
