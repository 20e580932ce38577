"""The executable, measured companion to the article "FastAPI Best Practices"."""
