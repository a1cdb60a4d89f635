"""Red buttons: what ends at once, and where nothing new begins."""

from typing import Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse

from accounts.models import AccountPair, AwsAccount, User


class StopQuerySet(models.QuerySet["Stop"]):
    """Which red buttons are in force."""

    def with_things(self) -> Self:
        """Fetch what their words name."""
        return self.select_related("person", "account", "pair__source", "pair__target")

    def with_things_if_any(self) -> Self:
        """The same where there are mostly none: what they name is asked for once there are some."""
        return self.fetch_mode(models.FETCH_PEERS)

    def unfinished(self) -> Self:
        """Those whose scope may still hold access that is to end."""
        return self.filter(finished_at__isnull=True)

    def pausing(self) -> Self:
        """Those that keep anything new away until an admin lifts them."""
        return self.filter(pauses=True, lifted_at__isnull=True)

    def in_force(self) -> Self:
        """Those under which no access begins: unfinished or pausing."""
        return self.filter(Q(finished_at__isnull=True) | Q(pauses=True, lifted_at__isnull=True))


class Stop(models.Model):
    """Somebody pressed the red button: all access within a scope ends, and what waits for it.

    The row is the command. It is carried out in batches by whoever comes by (web, worker,
    sweeper), and nothing begins within its scope until it is finished (docs/adr/0030).
    """

    class Scope(models.TextChoices):
        """What ends."""

        PERSON = "person", "all access of a person"
        ACCOUNT = "account", "all access from and into an account"
        PAIR = "pair", "all access through a pair"
        EVERYTHING = "everything", "all access of everybody"

    key = models.UUIDField(unique=True, editable=False)
    """Of the form that was sent: sent twice, it is one press."""
    scope = models.CharField(max_length=10, choices=Scope)
    person = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    account = models.ForeignKey(AwsAccount, on_delete=models.PROTECT, null=True, related_name="+")
    pair = models.ForeignKey(AccountPair, on_delete=models.PROTECT, null=True, related_name="+")
    reason = models.CharField(max_length=500)
    pressed_by = models.CharField(max_length=150)
    pressed_at = models.DateTimeField(db_default=Now(), editable=False)
    cancelled = models.PositiveIntegerField(default=0)
    """How many waiting requests it has withdrawn so far."""
    finished_at = models.DateTimeField(null=True)
    """When nothing was left to revoke or to withdraw. Workers may still be removing then."""
    pauses = models.BooleanField(default=False)
    """Whether nothing new may be asked for or approved within the scope until it is lifted."""
    lifted_at = models.DateTimeField(null=True)
    lifted_by = models.CharField(max_length=150, blank=True)

    objects = StopQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    scope="person",
                    person__isnull=False,
                    account__isnull=True,
                    pair__isnull=True,
                )
                | Q(
                    scope="account",
                    person__isnull=True,
                    account__isnull=False,
                    pair__isnull=True,
                )
                | Q(scope="pair", person__isnull=True, account__isnull=True, pair__isnull=False)
                | Q(
                    scope="everything",
                    person__isnull=True,
                    account__isnull=True,
                    pair__isnull=True,
                ),
                name="stop_names_its_scope",
            ),
            models.CheckConstraint(
                condition=Q(lifted_at__isnull=True) | Q(pauses=True), name="stop_lifts_only_a_pause"
            ),
            *(
                models.UniqueConstraint(
                    fields=[scope],
                    condition=Q(finished_at__isnull=True),
                    name=f"stop_one_unfinished_per_{scope}",
                )
                for scope in ("person", "account", "pair")
            ),
            models.UniqueConstraint(
                fields=["scope"],
                condition=Q(scope="everything", finished_at__isnull=True),
                name="stop_one_unfinished_for_everything",
            ),
        ]
        indexes = [
            models.Index(
                fields=["pressed_at"],
                condition=Q(finished_at__isnull=True) | Q(pauses=True, lifted_at__isnull=True),
                name="stop_in_force",
            )
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.thing}" if self.thing else self.scope

    def get_absolute_url(self) -> str:
        """Where its progress is shown."""
        return reverse("provisioning:stop", args=[self.pk])

    @property
    def subject(self) -> str:
        """The stop in audit events."""
        return f"stop:{self.pk}"

    @property
    def thing(self) -> User | AwsAccount | AccountPair | None:
        """What it is about; None for everything."""
        return self.person or self.account or self.pair

    @property
    def words(self) -> str:
        """What ends, in words: `all access of Alice Ashby`."""
        match self.scope:
            case Stop.Scope.PERSON:
                return f"all access of {self.person}"
            case Stop.Scope.ACCOUNT:
                return f"all access from and into {self.account}"
            case Stop.Scope.PAIR:
                return f"all access through {self.pair}"
            case _:
                return "all access of everybody"

    @property
    def is_pausing(self) -> bool:
        """Whether nothing new may begin within its scope because of it, finished or not."""
        return self.pauses and self.lifted_at is None

    def within(self, to_request: str = "") -> Q:
        """The requests of its scope; for other rows, `to_request` leads to theirs."""
        pair = f"{to_request}offer__pair"
        match self.scope:
            case Stop.Scope.PERSON:
                return Q(**{f"{to_request}requester": self.person_id})
            case Stop.Scope.ACCOUNT:
                source, target = Q(**{f"{pair}__source": self.account_id}), f"{pair}__target"
                return source | Q(**{target: self.account_id})
            case Stop.Scope.PAIR:
                return Q(**{pair: self.pair_id})
            case _:
                return Q()

    def covers(self, person: User, pair: AccountPair) -> bool:
        """Whether a person's access through a pair is in its scope: `within`, for one."""
        return (
            self.covers_all_of(person)
            or self.pair_id == pair.pk
            or self.account_id in {pair.source_id, pair.target_id}
        )

    def covers_all_of(self, person: User) -> bool:
        """Whether a person's access is in its scope through whatever pair."""
        return self.scope == Stop.Scope.EVERYTHING or self.person_id == person.pk
