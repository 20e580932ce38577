"""What a post is called: posts and notifications need it."""


def title(post_id: int) -> str:
    """The post's title."""
    return f"post {post_id}"
