"""The application by file type: a folder for each kind of file, and beside them what they share."""
