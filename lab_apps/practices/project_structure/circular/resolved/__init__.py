"""What both need has moved up beside them: each imports it, and only one imports the other."""
