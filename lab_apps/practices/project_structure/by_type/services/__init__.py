"""What is done, a module for each domain."""
