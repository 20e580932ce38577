"""What is fixed, a module for each domain."""
