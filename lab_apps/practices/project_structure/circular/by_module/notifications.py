"""Notifications, which have to name the post."""

from lab_apps.practices.project_structure.circular.by_module import posts as posts_service


def notify(post_id: int) -> str:
    """The notice of a comment on the post."""
    return f"new comment on {posts_service.title(post_id)}"
