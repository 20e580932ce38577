"""The specimens: one FastAPI app per practice, each variant a route. They import no instrument."""
