"""People who sign in to the portal."""

from collections.abc import Iterable
from typing import ClassVar

from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Lower


class PortalUserManager(UserManager["User"]):
    """Makes people; somebody made by `createsuperuser` is an admin."""

    def labels_of(self, names: Iterable[str]) -> dict[str, str]:
        """How pages name the people of these user names, with one query for all of them. Rows that
        outlive people keep user names; who is gone is in nobody's way here."""
        people = self.filter(username__in=set(names))
        return {one.username: one.label for one in people}

    def create_superuser(
        self, username: str, email: str | None = None, password: str | None = None, **extra: object
    ) -> "User":
        """Create somebody who may open Django's admin site, and make them an admin.

        Where what widens access waits for a second admin, they are a member until one of the
        admins confirms: the command line is no door beside the rule.
        """
        # The use cases know the models, so they cannot be known here before that.
        from accounts.services import people

        with transaction.atomic():
            extra["role"] = User.Role.MEMBER
            person = super().create_superuser(username, email, password, **extra)
            people.raise_from_shell(person)
        return person


class User(AbstractUser):
    """A person who signs in to the portal. Which IAM user they are stands in `IamIdentity`."""

    class Role(models.TextChoices):
        """What a person may do beyond asking for access. Approving is a matter of each offer."""

        MEMBER = "member", "Member"
        ADMIN = "admin", "Admin"
        AUDITOR = "auditor", "Auditor"

    role = models.CharField(max_length=10, choices=Role, default=Role.MEMBER)

    objects: ClassVar[PortalUserManager] = PortalUserManager()

    class Meta(AbstractUser.Meta):
        constraints = [
            models.CheckConstraint(
                condition=Q(role__in=["member", "admin", "auditor"]), name="user_role_is_known"
            ),
            models.UniqueConstraint(
                Lower("username"),
                name="user_username_unique",
                violation_error_message="Somebody has this user name already.",
            ),
        ]

    def __str__(self) -> str:
        return self.label

    @property
    def label(self) -> str:
        """How pages name this person."""
        return self.get_full_name() or self.username

    @property
    def is_portal_admin(self) -> bool:
        """Whether they register accounts and may revoke anything."""
        return self.is_active and self.role == self.Role.ADMIN

    @property
    def sees_everything(self) -> bool:
        """Whether they read everything: admins and auditors."""
        return self.is_active and self.role in {self.Role.ADMIN, self.Role.AUDITOR}
