"""What goes wrong with stored files."""

from __future__ import annotations

from lab_apps.practices.project_structure.by_domain import exceptions as base
from lab_apps.practices.project_structure.by_domain.aws.constants import ErrorCode


class FileMissing(base.Refusal):
    """The storage has no such file."""

    status, code = 404, ErrorCode.FILE_MISSING
