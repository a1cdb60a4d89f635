"""Pages of the registry: load, check the form, call one use case, answer.

Admins may change, auditors may look, everybody else gets 403.
"""
