"""Posts, which have to tell of a comment."""

from lab_apps.practices.project_structure.circular.by_module import (
    notifications as notifications_service,
)


def title(post_id: int) -> str:
    """The post's title."""
    return f"post {post_id}"


def comment(post_id: int) -> str:
    """Comment on the post; the notice that its author gets."""
    return notifications_service.notify(post_id)
