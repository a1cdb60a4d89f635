"""How fast workers may ask each account."""

from django.db import models

from accounts.models import AwsAccount


class AccountPace(models.Model):
    """How many calls an account takes, shared by all workers. See `provisioning.core.pace`."""

    account = models.OneToOneField(
        AwsAccount, on_delete=models.CASCADE, primary_key=True, related_name="pace"
    )
    rate = models.FloatField()
    """Calls a second, when AWS last throttled."""
    free_at = models.DateTimeField()
    """When the calls promised so far will be over."""
    slowed_at = models.DateTimeField(null=True)
    turn = models.PositiveBigIntegerField(default=0)
    """Raised at each change, so that two workers cannot take the same room."""

    def __str__(self) -> str:
        return f"pace of {self.account_id}"
