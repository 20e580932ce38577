"""Notifications, which have to name the post."""

from lab_apps.practices.project_structure.circular.broken.posts import title


def notify(post_id: int) -> str:
    """The notice of a comment on the post."""
    return f"new comment on {title(post_id)}"
