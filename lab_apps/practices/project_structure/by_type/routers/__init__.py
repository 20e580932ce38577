"""The routes, a module for each domain."""
