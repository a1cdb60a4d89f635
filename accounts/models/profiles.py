"""Access profiles: sets of permissions, in versions that never change."""

from datetime import timedelta
from typing import Self

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Count, Max, Prefetch, Q
from django.db.models.functions import Lower, Now
from django.urls import reverse

from accounts import inline_policy
from accounts.aws_names import (
    Tone,
    managed_policy_names,
    validate_one_line,
    validate_profile_role_name,
)
from accounts.constraints import FieldConstraints
from accounts.permissions.lint import Report, Risk, review

SHORTEST_SESSION = timedelta(hours=1)


LONGEST_SESSION = timedelta(hours=12)
"""AWS's own bounds of MaxSessionDuration [AWS-FACTS 3.1]."""


class AccessProfileQuerySet(models.QuerySet["AccessProfile"]):
    """Reading profiles."""

    def with_use(self) -> Self:
        """Add how many offers hold it, and the current version as `current_versions`."""
        last = ProfileVersion.objects.values("profile").annotate(last=Max("pk")).values("last")
        versions = ProfileVersion.objects.filter(pk__in=last)
        # Grouped queries do not take Meta.ordering.
        rows = self.annotate(offer_count=Count("offers")).order_by(Lower("name"))
        return rows.prefetch_related(Prefetch("versions", versions, to_attr="current_versions"))


class AccessProfile(FieldConstraints):
    """A set of permissions that can be offered, in versions that never change."""

    name = models.CharField(max_length=60, validators=[validate_one_line])
    description = models.CharField(max_length=300, blank=True, validators=[validate_one_line])
    tone = models.CharField("colour", max_length=6, choices=Tone, default=Tone.GREEN)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = AccessProfileQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                Lower("name"),
                name="profile_name_unique",
                violation_error_message="Another profile has this name already.",
            ),
            models.CheckConstraint(
                condition=Q(tone__in=["F2B0A9", "FBBF93", "FAD791", "B7CA9D", "99BCE3"]),
                name="profile_tone_is_of_the_palette",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """The profile's page."""
        return reverse("accounts:profile", args=[self.pk])

    @property
    def current(self) -> "ProfileVersion":
        """The version that new requests are made with."""
        # In Python, so that a page of many can fetch all versions at once.
        return max(self.versions.all(), key=lambda one: one.number)

    @property
    def subject(self) -> str:
        """The profile in audit events."""
        return f"profile:{self.pk}"


class ProfileVersion(FieldConstraints):
    """One immutable version of a profile; requests and grants pin it.

    A database trigger refuses updates and deletions, so that what an approver saw stays what is
    provisioned, whatever an admin edits meanwhile.
    """

    profile = models.ForeignKey(AccessProfile, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    role_name = models.CharField(max_length=32, validators=[validate_profile_role_name])
    managed_policies = models.JSONField(default=list, blank=True)
    """Names of AWS managed policies, with path and without partition, such as ReadOnlyAccess."""
    inline_policy = models.JSONField(null=True, blank=True)
    session_duration = models.DurationField(default=SHORTEST_SESSION)
    require_mfa = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.CharField(max_length=150)

    class Meta:
        ordering = ["profile_id", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["profile", "number"], name="profile_version_unique"),
            models.CheckConstraint(
                condition=Q(session_duration__gte=SHORTEST_SESSION)
                & Q(session_duration__lte=LONGEST_SESSION),
                name="profile_session_within_aws_bounds",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.profile.name} v{self.number}"

    @property
    def number_of_policies(self) -> int:
        """How many policies a role of this version carries, the dated deny not counted."""
        return len(self.managed_policies) + (self.inline_policy is not None)

    @property
    def report(self) -> Report:
        """What these permissions amount to; worked out anew, so it follows what is known today."""
        return review(self.managed_policies, self.inline_policy)

    def clean(self) -> None:
        """Refuse permissions that AWS would not take or a profile must not hold, or none at all."""
        errors: dict[str, ValidationError] = {}
        try:
            self.managed_policies = managed_policy_names(self.managed_policies)
        except ValidationError as error:
            errors["managed_policies"] = error
        try:
            if self.inline_policy is not None:
                inline_policy.check(self.inline_policy)
        except ValidationError as error:
            errors["inline_policy"] = error
        if not errors:
            errors |= _refused_by_lint(self.report)
        if not self.managed_policies and self.inline_policy is None:
            message = "Name at least one managed policy here, or write an inline policy."
            errors["managed_policies"] = ValidationError(message, code="no_permissions")
        if errors:
            raise ValidationError(dict(errors))


def _refused_by_lint(report: Report) -> dict[str, ValidationError]:
    """What the lint refuses, by the field that it is about."""
    found: dict[str, list[ValidationError]] = {}
    for one in report.refused:
        field = "managed_policies" if one.statement is None else "inline_policy"
        place = f"{one.where}: " if one.where else ""
        message = f"{place}{one.sentence} {one.advice}".strip()
        found.setdefault(field, []).append(ValidationError(message, code=one.key))
    return {field: ValidationError(problems) for field, problems in found.items()}


def people_demanded_by(report: Report) -> int:
    """How many different people must approve such permissions at least."""
    return 2 if report.risk is Risk.HIGH else 1
