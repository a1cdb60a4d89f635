"""Which way a change of a rule goes: whether it lets more happen, or less. Pure.

A rule is compared as data: two snapshots, as `accounts.four_eyes.snapshots` takes them. Unknown
means closed (I10): a field that nobody has described here counts as widening when it changes, and
so does every change that is not known to narrow.

What the fields of a rule mean stands in `offers`, `profiles` and `people`, in the words of
`fields`: a label, a judge (`judges`), how a value is written (`values`). `compare` goes through
them. Everybody else imports from here; the modules are for reading.
"""

from accounts.four_eyes.widening.compare import FIELDS, differences, narrows, widens
from accounts.four_eyes.widening.words import Difference, Direction, Kind, Snapshot

__all__ = [
    "FIELDS",
    "Difference",
    "Direction",
    "Kind",
    "Snapshot",
    "differences",
    "narrows",
    "widens",
]
