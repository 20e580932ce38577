"""The application by domain: a folder for each, and beside them what they share."""
