"""One-time passwords of IAM users that Sallyport created."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from accounts.models import IamIdentity, User


class PasswordRequest(models.Model):
    """An admin wants a one-time password for an IAM user that Sallyport created.

    The private key that opens `sealed` is on that admin's page and nowhere else, so nothing here
    is a credential by itself (docs/adr/0019). Every row ends: shown, failed or lapsed.
    """

    identity = models.ForeignKey(IamIdentity, on_delete=models.PROTECT, related_name="passwords")
    asked_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField(db_default=Now(), editable=False)
    lapses_at = models.DateTimeField()
    public_key = models.CharField(max_length=64)
    """X25519, 32 bytes as hexadecimal digits."""
    state = models.CharField(
        max_length=7,
        choices=[(one, one) for one in ("waiting", "sealed", "shown", "failed", "lapsed")],
        default="waiting",
    )
    leased_until = models.DateTimeField(null=True)
    """Until when one worker has this to itself."""
    sealed = models.TextField(blank=True)
    """The password, sealed to the public key; gone as soon as it was shown or has lapsed."""
    shown_at = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["waiting", "sealed", "shown", "failed", "lapsed"]),
                name="password_state_is_known",
            ),
            models.CheckConstraint(
                condition=(Q(state="sealed") & ~Q(sealed="")) | (~Q(state="sealed") & Q(sealed="")),
                name="password_is_sealed_only_while_it_waits",
            ),
            models.CheckConstraint(
                condition=Q(state="shown", shown_at__isnull=False)
                | (~Q(state="shown") & Q(shown_at__isnull=True)),
                name="password_shown_has_its_time",
            ),
            models.UniqueConstraint(
                fields=["identity"],
                condition=Q(state__in=["waiting", "sealed"]),
                name="password_one_open_per_user",
            ),
        ]
        indexes = [
            models.Index(
                fields=["lapses_at"],
                condition=Q(state__in=["waiting", "sealed"]),
                name="password_open",
            )
        ]

    def __str__(self) -> str:
        return f"password {self.pk} of {self.identity_id}"

    @property
    def is_open(self) -> bool:
        """Whether a worker or the admin's page is still expected."""
        return self.state in {"waiting", "sealed"}
