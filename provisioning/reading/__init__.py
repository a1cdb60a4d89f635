"""What pages, lists and files show, made from rows: values, without HTML. Nothing here writes.

A request's page is made of `progress`, `plans`, `doors`, `requester`, and the holder's of `cards`;
whoever is about to ask sees `asking` and the `catalogue`. Lists are read in `listing`, cut by
`keyset`, written to files by `export`; `lines` are those of everybody's grants.
"""
