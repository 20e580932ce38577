"""Posts, their comments and their attachments."""
