"""The storage for files: a service outside, and its client."""
