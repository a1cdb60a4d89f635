"""Four eyes: what widens access waits for a second admin (docs/adr/0032).

`widening` says which way a change goes, from the `snapshots` of a rule before and after.
`second_admin` is whether such changes have to wait, and who counts as a second person. `gate` is
what every use case of the registry passes before it writes: it lets the change be made, or stores
a proposal and raises `Proposed`. Above it, `accounts.services.proposals` decides on those, and
`accounts.views.proposals` shows them.
"""
