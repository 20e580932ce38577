"""What goes wrong, a module for each domain, and what they have in common."""
