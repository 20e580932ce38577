"""Names of another domain, imported as names and through their modules: the same two uses of each.

`by_name` keeps what it imported when it was imported: a replacement in the domain's module, as a
test makes one, doesn't reach it, and of two names that are alike the last one stays. `by_module`
asks the module each time, under an alias that says which domain's it is.
"""
