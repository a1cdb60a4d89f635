"""Proposals: changes that widen access and wait for a second admin; and whether they have to."""

import hashlib
import json
from typing import TYPE_CHECKING, Any, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.urls import reverse

from accounts.constraints import FieldConstraints
from accounts.four_eyes.widening import Difference, Direction, Kind

if TYPE_CHECKING:
    from accounts.models import User

ONE_OPEN = "proposal_one_open_per_subject"


class ProposalQuerySet(models.QuerySet["Proposal"]):
    """Reading proposals."""

    def open(self) -> Self:
        """Those that wait for a second admin."""
        return self.filter(state=Proposal.State.OPEN)

    def waiting_for(self, person: "User") -> Self:
        """Those that this person may confirm."""
        if not person.is_portal_admin:
            return self.none()
        return self.open().exclude(proposed_by=person)


class Proposal(FieldConstraints):
    """A change that widens access: nothing has changed before a second admin confirms it.

    What is to be changed, how it was and how it is to be never change; neither does a proposal
    that was decided. Triggers hold that, and that another person than the proposer decided.
    """

    class State(models.TextChoices):
        """Where it stands. All but `open` are final."""

        OPEN = "open", "Open"
        CONFIRMED = "confirmed", "Confirmed"
        REJECTED = "rejected", "Rejected"
        WITHDRAWN = "withdrawn", "Withdrawn"
        LAPSED = "lapsed", "Lapsed"

    ABOUT = 128
    """Characters that `about` may have; the name of a group that is to be made may have more."""

    kind = models.CharField(max_length=20, choices=[(one.value, one.value) for one in Kind])
    about = models.CharField(max_length=ABOUT)
    """What is to be changed, as audit events name it; `offer:new:3:7` for one that is to be made
    for a profile on a pair."""
    title = models.CharField(max_length=300)
    """The change in words."""
    before = models.JSONField(null=True)
    """The rule when it was proposed; null for one that is to be made."""
    after = models.JSONField()
    differences = models.JSONField()
    """What the second admin is shown: the fields of `Difference`, in order."""
    fingerprint = models.CharField(max_length=64)
    """Of `before`: it must still hold when the change is confirmed."""
    proposed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="proposals",
        null=True,
    )
    """Null for a change that was asked for on the command line of the server."""
    reason = models.TextField(blank=True)
    proposed_at = models.DateTimeField(db_default=Now())
    lapses_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", null=True
    )
    """Who confirmed, rejected or withdrew it; nobody when it lapsed."""
    decided_at = models.DateTimeField(null=True)
    decision_reason = models.TextField(blank=True)

    objects = ProposalQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["state", "lapses_at"], name="proposal_state")]
        constraints = [
            models.UniqueConstraint(
                fields=["about"],
                condition=Q(state="open"),
                name=ONE_OPEN,
                violation_error_message=(
                    "A change of this is proposed already. Decide on that one, or withdraw it."
                ),
            ),
            models.CheckConstraint(
                condition=Q(state__in=["open", "confirmed", "rejected", "withdrawn", "lapsed"]),
                name="proposal_state_is_known",
            ),
            models.CheckConstraint(
                condition=Q(kind__in=[one.value for one in Kind]), name="proposal_kind_is_known"
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["confirmed", "rejected"])
                | Q(proposed_by__isnull=True)
                | ~Q(decided_by=F("proposed_by")),
                name="proposal_needs_a_second_admin",
            ),
            models.CheckConstraint(
                condition=~Q(state="withdrawn") | Q(decided_by=F("proposed_by")),
                name="proposal_is_withdrawn_by_its_proposer",
            ),
            models.CheckConstraint(
                condition=Q(state="open", decided_at__isnull=True, decided_by__isnull=True)
                | Q(state="lapsed", decided_at__isnull=False, decided_by__isnull=True)
                | (
                    Q(state__in=["confirmed", "rejected", "withdrawn"])
                    & Q(decided_at__isnull=False, decided_by__isnull=False)
                ),
                name="proposal_decision_is_whole",
            ),
        ]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        """The proposal's page."""
        return reverse("accounts:proposal", args=[self.pk])

    @property
    def subject(self) -> str:
        """The proposal in audit events."""
        return f"proposal:{self.pk}"

    @property
    def proposer(self) -> str:
        """Who proposed it, in words."""
        return self.proposed_by.label if self.proposed_by else "An operator on the server"

    @property
    def shown(self) -> list[Difference]:
        """The differences as they were proposed."""
        return [
            Difference(**one | {"direction": Direction(one["direction"])})
            for one in self.differences
        ]


def fingerprint(rule: Any) -> str:
    """SHA-256 of a rule as data, whatever the order of its keys."""
    text = json.dumps(rule, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class SecondAdmin(models.Model):
    """Whether changes that widen access wait for a second admin: a rule of its own, one row.

    It comes on by itself with the second admin, and stays on whatever becomes of them: only a
    confirmed proposal switches it off.
    """

    class State(models.TextChoices):
        """`unset` until there are two admins for the first time."""

        UNSET = "unset", "Not yet"
        ON = "on", "On"
        OFF = "off", "Off"

    state = models.CharField(max_length=5, choices=State, default=State.UNSET)
    switched_off_by = models.ForeignKey(
        Proposal, on_delete=models.PROTECT, related_name="+", null=True
    )
    """The confirmed proposal that switched it off."""
    changed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(pk=1), name="second_admin_is_one_row"),
            models.CheckConstraint(
                condition=Q(state__in=["unset", "on", "off"]), name="second_admin_state_is_known"
            ),
            models.CheckConstraint(
                condition=Q(state="off", switched_off_by__isnull=False)
                | (~Q(state="off") & Q(switched_off_by__isnull=True)),
                name="second_admin_is_switched_off_by_a_proposal",
            ),
        ]

    def __str__(self) -> str:
        return self.get_state_display()
