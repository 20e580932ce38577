"""What goes wrong with stored files."""

from __future__ import annotations

from lab_apps.practices.project_structure.by_type.constants.storage import ErrorCode
from lab_apps.practices.project_structure.by_type.exceptions import base


class FileMissing(base.Refusal):
    """The storage has no such file."""

    status, code = 404, ErrorCode.FILE_MISSING
