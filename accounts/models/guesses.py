"""Counters of wrong passwords."""

from typing import Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class GuessCounterQuerySet(models.QuerySet["GuessCounter"]):
    """Reading counters."""

    def closed(self) -> Self:
        """Those that let nobody try at this moment."""
        return self.filter(open_at__gt=Now())


class GuessCounter(models.Model):
    """Wrong passwords one after the other for one name, or from one address.

    What was typed is not in it: people type their password into the wrong field. `about` is a keyed
    hash, so a row is found by whoever knows the name, and tells nobody else.
    """

    class Kind(models.TextChoices):
        """What is counted."""

        NAME = "name", "Sign-in with one user name"
        ADDRESS = "address", "Sign-in from one network address"
        PASSWORD = "password", "The old password, asked for when it is changed"

    kind = models.CharField(max_length=10, choices=Kind)
    about = models.CharField(max_length=64)
    device = models.CharField(max_length=32, blank=True, default="")
    """A device on which this name has signed in before; nothing for all the others together."""
    failures = models.PositiveIntegerField(db_default=0)
    open_at = models.DateTimeField(db_default=Now())
    """When the next try is taken."""
    forgotten_at = models.DateTimeField(db_default=Now())
    """From when on the row counts for nothing, and the sweeper removes it."""

    objects = GuessCounterQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["kind", "about", "device"], name="guesses_one_counter"),
            models.CheckConstraint(
                condition=Q(kind__in=["name", "address", "password"]), name="guesses_kind_is_known"
            ),
        ]
        indexes = [models.Index(fields=["forgotten_at"], name="guesses_forgotten")]

    def __str__(self) -> str:
        return f"{self.failures} of kind {self.kind}"

    @property
    def where(self) -> str:
        """Where the passwords of a name were wrong."""
        if self.kind == self.Kind.PASSWORD:
            return "where the password is changed"
        return "on a known device" if self.device else "on new devices"
