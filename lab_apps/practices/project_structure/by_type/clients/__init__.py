"""The clients of services outside, a module for each."""
