"""The modules are imported, and asked when they are needed: each can be imported first."""
