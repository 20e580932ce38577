"""The tables and their rows, a module for each domain."""
