"""Emergencies: access that was taken, and what others say of it."""

from typing import Self

from django.contrib.auth.models import Group
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from accounts.aws_names import validate_one_line
from accounts.models import User
from provisioning.models.requests import AccessRequest


class BreakGlassQuerySet(models.QuerySet["BreakGlass"]):
    """Which emergencies are still to be reviewed."""

    def open(self) -> Self:
        """Those that two others have not reviewed yet."""
        return self.filter(closed_at__isnull=True)

    def visible_to(self, person: User) -> Self:
        """Those that a person may see: as with requests."""
        return self.filter(request__in=AccessRequest.objects.visible_to(person))

    def to_review_by(self, person: User) -> Self:
        """Open ones of others that a person may see."""
        return self.open().visible_to(person).exclude(request__requester=person)


class BreakGlass(models.Model):
    """Somebody took access in an emergency: what stands where approvals stand otherwise.

    A trigger lets it be only where the offer allows it to this person for so long. It stays open
    until two others, neither of them who took it, have reviewed it (docs/adr/0029).
    """

    request = models.OneToOneField(
        AccessRequest, on_delete=models.PROTECT, related_name="break_glass"
    )
    group = models.ForeignKey(Group, on_delete=models.PROTECT, related_name="+")
    """The group that let this person take it."""
    fingerprint = models.CharField(max_length=64)
    taken_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    objects = BreakGlassQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(
                fields=["taken_at"], condition=Q(closed_at__isnull=True), name="break_glass_open"
            )
        ]

    def __str__(self) -> str:
        return f"break-glass {self.request_id}"


REVIEWERS = 2
"""How many others must review an emergency before it is closed."""


class Review(models.Model):
    """What somebody else says of access that was taken in an emergency. It is never changed."""

    class Verdict(models.TextChoices):
        """Whether it was right to take it."""

        JUSTIFIED = "justified", "Justified"
        UNJUSTIFIED = "unjustified", "Not justified"

    taken = models.ForeignKey(BreakGlass, on_delete=models.PROTECT, related_name="reviews")
    reviewer = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    verdict = models.CharField(max_length=11, choices=Verdict)
    note = models.CharField(max_length=500, validators=[validate_one_line])
    reviewed_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(verdict__in=["justified", "unjustified"]),
                name="review_verdict_is_known",
            ),
            models.UniqueConstraint(fields=["taken", "reviewer"], name="review_once_per_person"),
        ]

    def __str__(self) -> str:
        return f"{self.verdict} {self.taken_id}"
