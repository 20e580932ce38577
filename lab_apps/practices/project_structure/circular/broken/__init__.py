"""Names are imported from each other: this package can't be imported."""

from lab_apps.practices.project_structure.circular.broken import posts as posts
