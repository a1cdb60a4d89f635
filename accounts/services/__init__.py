"""Use cases of the registry, by what they change. Each is one transaction with its audit event.

Who may call them is asked by the views (`accounts.authz`); forms have parsed the input, and
`full_clean` repeats every rule of the models with the message at its field. What widens access
passes the gate of four eyes and waits for a second admin: `proposals` stores it through the same
functions then. `narrowing` takes one person out of a rule, for a review.
"""
