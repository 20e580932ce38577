"""What is fixed about posts."""

from __future__ import annotations

from enum import StrEnum

MAX_ATTACHMENT_BYTES = 2**20


class ErrorCode(StrEnum):
    """What can go wrong with a post."""

    POST_NOT_FOUND = "posts: no such post"
    NOT_THE_AUTHOR = "posts: it is another user's post"
    ATTACHMENT_NOT_FOUND = "posts: no such attachment"
    ATTACHMENT_TOO_LARGE = "posts: the attachment is larger than 1 MiB"
