"""Signing in: the one door at which passwords are looked at, and how often one may be wrong.

Whatever calls Django's `authenticate` comes through `backend`; `forms` are what people type into,
here and to change their password. Both count a try in `guesses` before they look at the password
(docs/adr/0034). `origin` is where a try comes from: which browser, which address.
"""
