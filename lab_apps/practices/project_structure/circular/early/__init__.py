"""The modules are imported, and one uses the other at once, which then can't be imported first."""
