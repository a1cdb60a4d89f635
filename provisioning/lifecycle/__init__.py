"""The only writer of states, and of the events that tell of them.

Every move is compare-and-set: an update where the old state still holds. No row updated means
that somebody else got there first, and raises StaleState. The event is appended in the same
transaction, so that there is no change without it and no event without the change (I8).
"""

from provisioning.lifecycle.claims import LEASE, claim, postpone, renew
from provisioning.lifecycle.common import SWEEPER, WORKER, StaleState, back_off
from provisioning.lifecycle.deciding import approve_by_rule, decide, renew_stages
from provisioning.lifecycle.emergencies import break_glass, review
from provisioning.lifecycle.grants import look_again, note_ending_soon, reopen, revoke
from provisioning.lifecycle.pairs import (
    note_account_retired,
    note_pair,
    note_retired,
    postpone_pair,
)
from provisioning.lifecycle.requests import (
    ask_for_look,
    change_terms,
    move_request,
    note_failed_look,
    note_preview,
    open_request,
    say,
)
from provisioning.lifecycle.runs import (
    begin,
    note_cut_back,
    note_failure,
    note_lock_out,
    note_phase,
    take_back_extension,
)
from provisioning.lifecycle.stops import finish_stop, lift_pause, press, stop_grants, stop_requests

__all__ = [
    "LEASE",
    "SWEEPER",
    "WORKER",
    "StaleState",
    "approve_by_rule",
    "ask_for_look",
    "back_off",
    "begin",
    "break_glass",
    "change_terms",
    "claim",
    "decide",
    "finish_stop",
    "lift_pause",
    "look_again",
    "move_request",
    "note_account_retired",
    "note_cut_back",
    "note_ending_soon",
    "note_failed_look",
    "note_failure",
    "note_lock_out",
    "note_pair",
    "note_phase",
    "note_preview",
    "note_retired",
    "open_request",
    "postpone",
    "postpone_pair",
    "press",
    "renew",
    "renew_stages",
    "reopen",
    "review",
    "revoke",
    "say",
    "stop_grants",
    "stop_requests",
    "take_back_extension",
]
