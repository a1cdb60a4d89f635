"""Use cases: what people may do, each in one transaction that asks `authz` first.

Here stand those of the main road, from asking to the end of an access; they live in `asking`,
`deciding`, `grants`, `drift` and `connections`. The others are modules of this package, named by
what they are about.
"""

from provisioning.services.asking import (
    CANNOT_BE_SET_UP,
    Wish,
    cancel,
    extend_access,
    request_access,
    request_together,
)
from provisioning.services.common import Refused
from provisioning.services.connections import check_connection
from provisioning.services.deciding import (
    CannotBeSetUp,
    PlanMoved,
    decide,
    keep_fresh,
    look_again,
)
from provisioning.services.drift import repair, restore_group, scan_now
from provisioning.services.grants import end_by_review, note_link_opened, revoke

__all__ = [
    "CANNOT_BE_SET_UP",
    "CannotBeSetUp",
    "PlanMoved",
    "Refused",
    "Wish",
    "cancel",
    "check_connection",
    "decide",
    "end_by_review",
    "extend_access",
    "keep_fresh",
    "look_again",
    "note_link_opened",
    "repair",
    "request_access",
    "request_together",
    "restore_group",
    "revoke",
    "scan_now",
]
