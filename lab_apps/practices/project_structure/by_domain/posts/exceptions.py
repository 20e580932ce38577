"""What goes wrong with posts."""

from __future__ import annotations

from lab_apps.practices.project_structure.by_domain import exceptions as base
from lab_apps.practices.project_structure.by_domain.posts.constants import ErrorCode


class PostNotFound(base.Refusal):
    """There is no such post."""

    status, code = 404, ErrorCode.POST_NOT_FOUND


class NotTheAuthor(base.Refusal):
    """The post is another user's."""

    status, code = 403, ErrorCode.NOT_THE_AUTHOR


class AttachmentNotFound(base.Refusal):
    """The post has no such attachment."""

    status, code = 404, ErrorCode.ATTACHMENT_NOT_FOUND


class AttachmentTooLarge(base.Refusal):
    """The file is larger than an attachment may be."""

    status, code = 413, ErrorCode.ATTACHMENT_TOO_LARGE
