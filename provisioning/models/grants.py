"""Grants: what should exist in AWS and until when, and what was last seen there."""

from datetime import datetime, timedelta
from typing import Self

from django.db import models
from django.db.models import ExpressionWrapper, F, Q, Value
from django.db.models.functions import RowNumber
from django.urls import reverse

from accounts.models import IamIdentity, Offer, ProfileVersion, User
from provisioning.core import naming, states
from provisioning.core.states import Phase
from provisioning.models.requests import AccessRequest

ENDS_SOON = timedelta(minutes=15)
"""So long before the end its holder is told, and the page says so..."""
LAST_PART = 4
"""...or in the last quarter of what is shorter: a quarter of an hour does not end soon from its
first second."""
ATTENTION_AFTER = 3
"""Failed attempts after which a grant is shown as needing attention."""


class GrantQuerySet(models.QuerySet["Grant"]):
    """Which grants concern a person, and which a worker."""

    def with_parties(self) -> Self:
        """Fetch what every page names."""
        return self.select_related(
            "request__requester",
            "request__break_glass",
            "authority",
            "identity__account",
            "request__offer__pair__source",
            "request__offer__pair__target",
            "profile_version__profile",
        )

    def for_list(self) -> Self:
        """Fetch for a list what its lines name, once somebody asks; `for_list` of requests says
        why."""
        return self.fetch_mode(models.FETCH_PEERS)

    def for_work(self) -> Self:
        """Fetch what a worker needs and no more: rows of twelve tables take Django longer to make
        than these."""
        return self.select_related(
            "request__requester",
            "request__rule_approval",
            "request__break_glass",
            "authority",
            "identity",
            "profile_version",
            "request__offer__pair__source",
            "request__offer__pair__target",
        ).defer("request__preview", "authority__preview")

    def held_by(self, person: User) -> Self:
        """A person's own grants."""
        return self.filter(request__requester=person)

    def visible_to(self, person: User) -> Self:
        """Grants that a person may see: as with requests."""
        if person.sees_everything:
            return self
        offers = Offer.objects.decided_by(person).values("pk")
        return self.filter(Q(request__requester=person) | Q(request__offer__in=offers))

    def live(self) -> Self:
        """Grants whose access may still exist somewhere."""
        return self.exclude(phase=Phase.ENDED)

    def settled_before(self, moment: datetime, now: datetime) -> Self:
        """Grants that AWS was as wanted for before some moment, and that nobody is at work on.

        The same for many as `Grant.is_settled_before` for one.
        """
        return self.filter(
            settled_at__lt=moment,
            reopened_at__isnull=True,
            revoked_at__isnull=True,
            starts_at__lte=now,
            ends_at__gt=now,
        ).exclude(leased_until__gt=now)

    def due(self, now: datetime) -> Self:
        """Grants that a worker should look at: first who is to be locked out, then other removals;
        of these one of each target account in turn, so that a thousand of one account do not keep
        the others waiting.

        Whatever is past its end or revoked is a removal, whatever its recorded phase says. At its
        end AWS closes an access by itself; a revoked one is open until a worker has been there.
        """
        lock_out = Q(revoked_at__isnull=False, locked_out_at__isnull=True)
        ending = Q(revoked_at__isnull=False) | Q(ends_at__lte=now)
        removal = models.Case(models.When(lock_out, then=0), models.When(ending, then=1), default=2)
        turn = models.Window(
            RowNumber(),
            partition_by=[F("request__offer__pair__target"), removal],
            order_by="next_check_at",
        )
        due = self.live().filter(next_check_at__lte=now)
        return due.alias(is_removal=removal, turn=turn).order_by(
            "is_removal", "turn", "next_check_at"
        )

    def ending_soon(self, now: datetime) -> Self:
        """Usable grants whose end is near, and was not told so far."""
        near = self.filter(phase=Phase.ACTIVE, revoked_at__isnull=True, extending_from__isnull=True)
        near = near.filter(ends_at__gt=now, ends_at__lte=now + ENDS_SOON)
        # As `Grant.ends_soon` has it, with the ends alone on one side: they are what is compared.
        last_part = ExpressionWrapper(
            (F("ends_at") - F("starts_at")) / Value(LAST_PART), models.DurationField()
        )
        told = Q(ends_soon_for__isnull=True) | ~Q(ends_soon_for=F("ends_at"))
        return near.filter(told, ends_at__lte=last_part + now)


class Grant(models.Model):
    """Access that was approved: what should exist in AWS, and until when.

    `phase` records what a worker last saw in AWS. Whether the access should exist follows from
    `ends_at` and `revoked_at` alone. Errors stand beside the phase, so that a role which could not
    be removed never reads as ended.
    """

    request = models.OneToOneField(AccessRequest, on_delete=models.PROTECT, related_name="grant")
    code = models.CharField(max_length=16, unique=True, editable=False)
    authority = models.ForeignKey(
        AccessRequest, on_delete=models.PROTECT, null=True, related_name="+"
    )
    """The approved extension that the present end rests on; null for the grant's own request."""
    identity = models.ForeignKey(IamIdentity, on_delete=models.PROTECT, related_name="grants")
    profile_version = models.ForeignKey(ProfileVersion, on_delete=models.PROTECT, related_name="+")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    extending_from = models.DateTimeField(null=True)
    """While a later end is approved and AWS has not confirmed it: the end that AWS enforces."""
    fingerprint = models.CharField(max_length=64)
    iam_user_arn = models.CharField(max_length=640)
    iam_user_id = models.CharField(max_length=128)
    boundary_arn = models.CharField(max_length=640)
    """Who and within what, as approved: a later change of the registry must neither hand the
    access to another IAM user nor move its boundary."""
    revoked_at = models.DateTimeField(null=True)
    revoked_by = models.CharField(max_length=150, blank=True)
    revoke_reason = models.CharField(max_length=500, blank=True)
    stop = models.ForeignKey(
        "Stop", on_delete=models.PROTECT, null=True, related_name="grants", editable=False
    )
    """The red button that revoked it, where it was one."""

    phase = models.CharField(
        max_length=10, choices=[(p.value, p.value) for p in Phase], default="pending"
    )
    intent_at = models.DateTimeField(null=True)
    """When a worker first set out to make something; a read that finds nothing proves nothing
    for five minutes after it [AWS-FACTS 7.6]."""
    settled_at = models.DateTimeField(null=True)
    """When AWS was first seen as wanted. From then on automatic repair only takes access away."""
    reopened_at = models.DateTimeField(null=True)
    """When a person last allowed steps that give, after the access had settled: they pressed
    Repair, or more time was approved. Null again once AWS is as wanted."""
    ends_soon_for = models.DateTimeField(null=True)
    """The end that its holder was told of shortly before; a later end is told of anew."""
    locked_out_at = models.DateTimeField(null=True)
    """When the first step of a removal was answered: nobody gets through from then on."""
    ended_at = models.DateTimeField(null=True)
    next_check_at = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.TextField(blank=True)
    """The last failure in words, with what to do; empty when the last run went well."""
    generation = models.PositiveIntegerField(default=0)
    """Raised at each claim. A worker whose generation is past may record nothing."""
    leased_until = models.DateTimeField(null=True)

    objects = GrantQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(phase__in=[p.value for p in Phase]), name="grant_phase_is_known"
            ),
            models.CheckConstraint(
                condition=Q(ends_at__gt=F("starts_at")), name="grant_ends_after_start"
            ),
            models.CheckConstraint(
                condition=~Q(phase="ended")
                | (Q(ended_at__isnull=False) & Q(next_check_at__isnull=True)),
                name="grant_ended_is_final",
            ),
        ]
        indexes = [
            models.Index(fields=["next_check_at"], condition=~Q(phase="ended"), name="grant_due"),
            models.Index(fields=["phase", "ends_at"], name="grant_phase_ends"),
            # What the list of grants is read by, a page at a time, and counted by (docs/adr/0024).
            models.Index(
                fields=["starts_at", "id"], condition=~Q(phase="ended"), name="grant_live_starts"
            ),
            models.Index(
                fields=["ends_at", "id"], condition=~Q(phase="ended"), name="grant_live_ends"
            ),
            models.Index(
                fields=["ended_at", "id"], condition=Q(phase="ended"), name="grant_over_ended"
            ),
            models.Index(
                fields=["revoked_at"],
                condition=~Q(phase="ended") & Q(revoked_at__isnull=False),
                name="grant_revoked",
            ),
            models.Index(
                fields=["starts_at"],
                condition=~Q(phase="ended") & Q(attempts__gte=ATTENTION_AFTER) & ~Q(last_error=""),
                name="grant_attention",
            ),
            models.Index(
                fields=["starts_at"],
                condition=Q(phase="scheduled", revoked_at__isnull=True),
                name="grant_scheduled",
            ),
        ]

    def __str__(self) -> str:
        return self.code

    def get_absolute_url(self) -> str:
        """The grant's page, which is its request's: one page from the question to the end."""
        return reverse("provisioning:request", args=[self.code])

    @property
    def subject(self) -> str:
        """The grant in audit events."""
        return f"grant:{self.code}"

    @property
    def requester(self) -> User:
        """Whose access it is."""
        return self.request.requester

    @property
    def role_name(self) -> str:
        """Name of the issued role."""
        return naming.role_name(self.profile_version.role_name, self.identity.user_name, self.code)

    @property
    def is_to_be_locked_out(self) -> bool:
        """Whether it was revoked and no worker has been there yet: that waits for nothing."""
        return self.revoked_at is not None and self.locked_out_at is None

    @property
    def needs_attention(self) -> bool:
        """Whether a person should look: several attempts failed."""
        return bool(self.last_error) and self.attempts >= ATTENTION_AFTER

    @property
    def is_over(self) -> bool:
        """Whether it was revoked or has ended: there is nothing left to end."""
        return self.phase == Phase.ENDED or self.revoked_at is not None

    @property
    def is_narrowed(self) -> bool:
        """Whether a worker saw that somebody had taken a part of it away in AWS."""
        return self.phase == Phase.PENDING and self.settled_at is not None

    @property
    def may_be_given(self) -> bool:
        """Whether a worker may do steps that give: before the access first settled, and again
        after a person asked for it. Anything else that is missing waits for a person (I12)."""
        return self.settled_at is None or self.reopened_at is not None

    @property
    def rests_on(self) -> AccessRequest:
        """The request whose decision the present end rests on."""
        return self.authority or self.request

    @property
    def is_extending(self) -> bool:
        """Whether a later end is approved that AWS has not confirmed yet."""
        return self.extending_from is not None

    @property
    def is_given(self) -> bool:
        """Whether AWS was seen to give all that was approved, the later end included."""
        return self.settled_at is not None and not self.is_extending

    @property
    def enforced_until(self) -> datetime:
        """The end that AWS is known to enforce: while extending, still the former one."""
        return self.extending_from or self.ends_at

    def should_exist(self, now: datetime) -> bool:
        """Whether the access should exist at `now`."""
        return states.should_exist(
            starts_at=self.starts_at, ends_at=self.ends_at, revoked_at=self.revoked_at, now=now
        )

    def is_settled_before(self, moment: datetime, now: datetime) -> bool:
        """Whether AWS was as wanted before some moment, and nobody is at work at `now`."""
        at_work = self.leased_until is not None and self.leased_until > now
        settled = self.settled_at is not None and self.settled_at < moment
        return settled and not at_work and self.reopened_at is None and self.should_exist(now)

    def is_scheduled_at(self, now: datetime) -> bool:
        """Whether the start is still to come, with nothing said against it."""
        waits = self.phase == Phase.SCHEDULED and self.revoked_at is None
        return waits and now < self.starts_at

    def phase_at(self, now: datetime) -> Phase:
        """The phase to show at `now`: past its end nothing reads as active, even before a worker
        has looked (I11 turned round: never less danger than AWS may still hold)."""
        if self.phase == Phase.ENDED or self.is_scheduled_at(now):
            return Phase(self.phase)
        if not self.should_exist(now):
            return Phase.ENDING
        # The start has come, or the former end has before AWS confirmed the later one.
        waits = self.phase == Phase.SCHEDULED or now >= self.enforced_until
        return Phase.PENDING if waits else Phase(self.phase)

    def ends_soon(self, now: datetime) -> bool:
        """Whether the access is usable and its end is near."""
        left, length = self.enforced_until - now, self.enforced_until - self.starts_at
        return self.usable_at(now) and left <= min(ENDS_SOON, length / LAST_PART)

    def rests_at(self, now: datetime) -> bool:
        """Whether nothing but the clock or a person will change it soon."""
        waits = self.phase_at(now) is Phase.SCHEDULED
        return waits or (self.usable_at(now) and not self.is_extending)

    def usable_at(self, now: datetime) -> bool:
        """Whether the Switch role link may be shown: made, seen in AWS, and not over."""
        return self.phase_at(now) is Phase.ACTIVE
