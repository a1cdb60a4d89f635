"""What moves: access requests, decisions, grants, and what was seen in AWS for them.

Everybody else imports from here; the modules are for reading.
"""

from provisioning.models.break_glass import REVIEWERS, BreakGlass, BreakGlassQuerySet, Review
from provisioning.models.decisions import Decision, RuleApproval
from provisioning.models.drift import (
    STUBBORN_AFTER,
    AccountScan,
    DriftFinding,
    DriftFindingQuerySet,
)
from provisioning.models.grants import ATTENTION_AFTER, Grant, GrantQuerySet
from provisioning.models.pace import AccountPace
from provisioning.models.passwords import PasswordRequest
from provisioning.models.requests import (
    ALREADY_ASKED,
    EXTENSION_ASKED,
    FURTHEST_START,
    ONE_EXTENSION,
    ONE_PENDING,
    PENDING_LIFETIME,
    AccessRequest,
    AccessRequestQuerySet,
    Comment,
    ReadMark,
    look_due,
    new_code,
)
from provisioning.models.stops import Stop, StopQuerySet

__all__ = [
    "ALREADY_ASKED",
    "ATTENTION_AFTER",
    "EXTENSION_ASKED",
    "FURTHEST_START",
    "ONE_EXTENSION",
    "ONE_PENDING",
    "PENDING_LIFETIME",
    "REVIEWERS",
    "STUBBORN_AFTER",
    "AccessRequest",
    "AccessRequestQuerySet",
    "AccountPace",
    "AccountScan",
    "BreakGlass",
    "BreakGlassQuerySet",
    "Comment",
    "Decision",
    "DriftFinding",
    "DriftFindingQuerySet",
    "Grant",
    "GrantQuerySet",
    "PasswordRequest",
    "ReadMark",
    "Review",
    "RuleApproval",
    "Stop",
    "StopQuerySet",
    "look_due",
    "new_code",
]
