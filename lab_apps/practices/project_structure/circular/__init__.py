"""Two domains that need each other: a comment is notified of, and the notice names the post.

Each folder is the same two domains. In `broken` they import names from each other, and neither
can be imported. In `by_module` they import each other's module, as the article has it, and both
can. In `early` too, but notifications use posts while they are being imported, as a default or a
`Depends(…)` does: then posts can't be imported first. In `resolved` what both need
has moved up, and there is no circle; `by_domain` has the other way out, an inverted dependency:
`notifications.service` is told all that it needs.
"""
