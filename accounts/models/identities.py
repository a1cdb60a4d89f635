"""Which IAM user a person is."""

from typing import Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower, Now

from accounts.aws_names import (
    validate_user_name,
)
from accounts.constraints import FieldConstraints
from accounts.models.people import User
from accounts.models.registry import AwsAccount


class IamIdentityQuerySet(models.QuerySet["IamIdentity"]):
    """Reading identities."""

    def usable(self) -> Self:
        """Those whose IAM user has not been removed, nor is about to be."""
        return self.filter(remove_asked_at__isnull=True)

    def present(self) -> Self:
        """Those whose IAM user may still exist."""
        return self.filter(removed_at__isnull=True)


class IamIdentity(FieldConstraints):
    """Which IAM user a person is in a source account.

    `unique_id` is AWS's own id of that user. Grants are bound to it: a user who was deleted and
    made again under the same name is somebody else [AWS-FACTS 4.3].
    """

    person = models.ForeignKey(User, on_delete=models.PROTECT, related_name="identities")
    account = models.ForeignKey(AwsAccount, on_delete=models.PROTECT, related_name="identities")
    user_name = models.CharField("IAM user", max_length=64, validators=[validate_user_name])
    arn = models.CharField(max_length=640, blank=True, editable=False)
    unique_id = models.CharField(max_length=128, blank=True, editable=False)
    verified_at = models.DateTimeField(null=True, editable=False)
    """When a worker last read this user from AWS; null until it has been found there."""
    next_check_at = models.DateTimeField(null=True, db_default=Now(), editable=False)
    """When a worker should look next; null when there is nothing to look for."""
    last_error = models.TextField(blank=True, editable=False)
    created_by_portal = models.BooleanField(default=False, editable=False)
    """Whether the IAM user is ours to make, to give passwords to, and to remove. It never changes:
    what existed before is never touched (I5)."""
    remove_asked_at = models.DateTimeField(null=True, editable=False)
    """When an admin asked to remove the IAM user; from then on nothing new is granted to it."""
    removed_at = models.DateTimeField(null=True, editable=False)
    """When AWS was seen without the IAM user; the row stays, for the record."""
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = IamIdentityQuerySet.as_manager()

    class Meta:
        ordering = ["account__name", "user_name"]
        verbose_name = "IAM identity"
        verbose_name_plural = "IAM identities"
        constraints = [
            models.UniqueConstraint(
                "account",
                Lower("user_name"),
                condition=Q(removed_at__isnull=True),
                name="identity_iam_user_unique",
                violation_error_message="Somebody else is this IAM user already.",
            ),
            models.UniqueConstraint(
                fields=["person", "account"],
                condition=Q(removed_at__isnull=True),
                name="identity_person_unique",
                violation_error_message="This person has an IAM user in this account already.",
            ),
            models.CheckConstraint(
                condition=Q(verified_at__isnull=True) | (~Q(arn="") & ~Q(unique_id="")),
                name="identity_verified_has_unique_id",
            ),
            models.CheckConstraint(
                condition=Q(remove_asked_at__isnull=True) | Q(created_by_portal=True),
                name="identity_removes_only_what_we_created",
            ),
            models.CheckConstraint(
                condition=Q(removed_at__isnull=True)
                | Q(remove_asked_at__isnull=False, next_check_at__isnull=True),
                name="identity_removed_was_asked_for",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_name} in {self.account.name}"

    @property
    def state(self) -> str:
        """`removed`, `failed` when the last look found something wrong, `removing`, `making` or
        `looking` while a worker is at it, or `verified`."""
        if self.removed_at:
            return "removed"
        if self.last_error:
            return "failed"
        if self.remove_asked_at:
            return "removing"
        if self.created_by_portal and not self.verified_at:
            return "making"
        return "verified" if self.verified_at and not self.next_check_at else "looking"

    @property
    def subject(self) -> str:
        """The identity in audit events."""
        return f"identity:{self.pk}"
