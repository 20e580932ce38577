"""What is sent and answered, a module for each domain."""
