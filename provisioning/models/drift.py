"""Scans of accounts, and what they found that is not as the rows say."""

from typing import Self

from django.db import models
from django.db.models import Q

from accounts.models import AwsAccount
from provisioning.core.drift import Kind, Thing
from provisioning.models.grants import Grant


class AccountScan(models.Model):
    """One reading of an account as a whole. The unfinished one of an account is its next.

    Only the newest few are kept.
    """

    account = models.ForeignKey(AwsAccount, on_delete=models.CASCADE, related_name="scans")
    due_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    leased_until = models.DateTimeField(null=True)
    """Until when a worker holds it. One that stops renewing has died, and another begins anew."""
    finished_at = models.DateTimeField(null=True)
    calls = models.PositiveIntegerField(default=0)
    objects_seen = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True)
    """Why the account could not be read, in words; empty when it was."""

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["account"],
                condition=Q(finished_at__isnull=True),
                name="scan_one_next_per_account",
            )
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(finished_at__isnull=True), name="scan_due")
        ]

    def __str__(self) -> str:
        return f"scan {self.pk} of {self.account_id}"


class DriftFindingQuerySet(models.QuerySet["DriftFinding"]):
    """Reading findings."""

    def open(self) -> Self:
        """Those that the last scan still saw."""
        return self.filter(resolved_at__isnull=True)

    def waiting_for_a_person(self) -> Self:
        """Open ones that nobody but a person can put right: what was taken away, what is not ours,
        and what stayed although it should have been cut back."""
        mine = Q(kind__in=[Kind.NARROWED, Kind.UNKNOWN]) | Q(seen__gte=STUBBORN_AFTER)
        return self.open().filter(mine)


STUBBORN_AFTER = 4
"""Scans after which something that is cut back by itself needs a person all the same."""


class DriftFinding(models.Model):
    """Something in an account that is not as the rows say. One open row for each thing and kind."""

    account = models.ForeignKey(AwsAccount, on_delete=models.CASCADE, related_name="drift")
    kind = models.CharField(max_length=10, choices=[(k.value, k.value) for k in Kind])
    thing = models.CharField(max_length=10, choices=[(t.value, t.value) for t in Thing])
    name = models.CharField(max_length=260)
    grant = models.ForeignKey(
        Grant, null=True, blank=True, on_delete=models.SET_NULL, related_name="drift"
    )
    summary = models.TextField()
    approved = models.JSONField(default=dict)
    in_aws = models.JSONField(default=dict)
    """The parts that differ, for a person who compares them."""
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    seen = models.PositiveIntegerField(default=1)
    """In how many scans."""
    act_at = models.DateTimeField(null=True)
    """When a worker should do something about it; null when there is nothing to do."""
    resolved_at = models.DateTimeField(null=True)
    done = models.TextField(blank=True)
    """What was done about it, in words."""

    objects = DriftFindingQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=[k.value for k in Kind]), name="drift_kind_is_known"
            ),
            models.CheckConstraint(
                condition=Q(thing__in=[t.value for t in Thing]), name="drift_thing_is_known"
            ),
            models.UniqueConstraint(
                fields=["account", "kind", "thing", "name"],
                condition=Q(resolved_at__isnull=True),
                name="drift_one_open_per_thing",
            ),
        ]
        indexes = [
            models.Index(fields=["act_at"], condition=Q(act_at__isnull=False), name="drift_to_do"),
            models.Index(fields=["resolved_at", "kind"], name="drift_open"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.thing} {self.name}"

    @property
    def needs_a_person(self) -> bool:
        """As `waiting_for_a_person`, for one row."""
        by_kind = self.kind in {Kind.NARROWED, Kind.UNKNOWN} or self.seen >= STUBBORN_AFTER
        return self.resolved_at is None and by_kind
