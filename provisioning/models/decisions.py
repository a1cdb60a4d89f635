"""Decisions on requests: those of approvers, and those of an offer's rule."""

from django.db import models
from django.db.models import Q

from accounts.models import User
from provisioning.models.requests import AccessRequest


class Decision(models.Model):
    """An approver's verdict, with the fingerprint of the plan they saw.

    A trigger refuses a decision by the requester, whoever writes it and by whatever road. One
    person counts once for a plan; of a plan that changed they are asked again, and of the same one
    where a last word is missing (`approvals.Standing`).
    """

    class Verdict(models.TextChoices):
        """What was decided."""

        APPROVED = "approved", "Approved"
        REJECTED = "rejected", "Rejected"

    request = models.ForeignKey(AccessRequest, on_delete=models.PROTECT, related_name="decisions")
    approver = models.ForeignKey(User, on_delete=models.PROTECT, related_name="decisions")
    verdict = models.CharField(max_length=10, choices=Verdict)
    reason = models.CharField(max_length=500, blank=True)
    fingerprint = models.CharField(max_length=64)
    decided_at = models.DateTimeField()
    stage = models.CharField(max_length=60, blank=True, default="")
    """Name of the approval stage that was asked."""
    trace = models.JSONField(default=list, blank=True)
    """Which rules applied at this decision (core.trace)."""
    again = models.BooleanField(default=False, db_default=False)
    """Whether it is the last word of somebody who had approved the same plan before. It counts as
    nobody more; a trigger lets it follow such an approval only."""

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(verdict__in=["approved", "rejected"]), name="decision_verdict_is_known"
            ),
            models.UniqueConstraint(
                fields=["request", "approver", "fingerprint", "again"],
                name="decision_once_per_plan",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.verdict} {self.request_id}"


class RuleApproval(models.Model):
    """An approval by the rule of an offer, with the fingerprint of the plan: no person decided.

    A trigger repeats what of the rule the database can see, and a grant that no person approved
    follows from such a row only.
    """

    request = models.OneToOneField(
        AccessRequest, on_delete=models.PROTECT, related_name="rule_approval"
    )
    fingerprint = models.CharField(max_length=64)
    decided_at = models.DateTimeField()
    trace = models.JSONField(default=list)
    """Which rules applied (core.trace)."""

    def __str__(self) -> str:
        return f"rule {self.request_id}"
