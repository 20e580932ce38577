"""What routes depend on, a module for each domain."""
