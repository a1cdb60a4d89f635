"""What moves: access requests, decisions, grants, and what was seen in AWS for them."""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Self

from django.contrib.auth.models import Group
from django.db import models
from django.db.models import Count, Exists, F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce, Least, Now, RowNumber
from django.urls import reverse

from accounts import tickets
from accounts.aws_names import validate_one_line
from accounts.models import (
    USUAL_WAIT,
    AccountPair,
    ApprovalStage,
    AwsAccount,
    IamIdentity,
    Offer,
    ProfileVersion,
    User,
)
from provisioning.core import naming, states
from provisioning.core.drift import Kind, Thing
from provisioning.core.preflight import Level
from provisioning.core.states import Phase, RequestState

PENDING_LIFETIME = USUAL_WAIT
ONE_PENDING = "request_one_pending_per_offer"
ALREADY_ASKED = "A request of yours for this offer waits for a decision."
ONE_EXTENSION = "request_one_pending_extension"
EXTENSION_ASKED = "A request of yours for more time waits for a decision."
FURTHEST_START = timedelta(days=14)
"""How far ahead a start may be asked for: people, pairs and profiles change."""
ENDS_SOON = timedelta(minutes=15)
"""So long before the end its holder is told; who has less than twice that knows anyway."""
ATTENTION_AFTER = 3
"""Failed attempts after which a grant is shown as needing attention."""


def new_code() -> str:
    """A code that nobody can guess: it names the grant in URLs, role names, tags, CloudTrail."""
    return "".join(secrets.choice(naming.CODE_ALPHABET) for _ in range(naming.CODE_LENGTH))


def look_due(now: datetime) -> Q:
    """Requests whose plan a worker is to try, or is trying: asked for, or never looked at."""
    return Q(next_look_at__lte=now) | Q(next_look_at__isnull=True, previewed_at__isnull=True)


class AccessRequestQuerySet(models.QuerySet["AccessRequest"]):
    """Which requests concern a person."""

    def with_parties(self) -> Self:
        """Fetch what every page names."""
        return self.select_related(
            "requester",
            "identity__account",
            "offer__pair__source",
            "offer__pair__target",
            "profile_version__profile",
            "grant",
            "rule_approval",
            "break_glass",
            "extends__request",
            "terms_by",
        )

    def for_decision(self) -> Self:
        """Fetch what deciding looks at and no more: the database plans a join of fifteen tables
        for longer than it takes to read these."""
        return self.select_related(
            "requester", "identity", "profile_version", "offer__pair__source", "offer__pair__target"
        )

    def to_decide(self, person: User, offers: Sequence[int]) -> Self:
        """Requests of others for the offers that a person decides on in some stage, whatever became
        of them."""
        return self.filter(offer__in=offers).exclude(requester=person)

    def asking(self, person: User) -> Self:
        """Requests of others whose open approval stage names a person.

        By `stage`, which is kept for lists such as this; `approvals` has the rule itself.
        """
        stages = ApprovalStage.objects.filter(offer=OuterRef("offer"))
        last = stages.order_by("-position").values("position")[:1]
        open_now = stages.naming(person).filter(position=Least(OuterRef("stage"), Subquery(last)))
        return self.waiting().filter(Exists(open_now)).exclude(requester=person)

    def visible_to(self, person: User) -> Self:
        """Requests that a person may see: their own, those they decide on, all for auditors."""
        if person.sees_everything:
            return self
        offers = Offer.objects.decided_by(person).values("pk")
        return self.filter(Q(requester=person) | Q(offer__in=offers))

    def with_unread(self, person: User) -> Self:
        """Add as `unread` how many comments of others a person has not seen."""
        seen = ReadMark.objects.filter(request=OuterRef("request"), person=person)
        new = Comment.objects.filter(request=OuterRef("pk")).exclude(author=person)
        new = new.filter(pk__gt=Coalesce(Subquery(seen.values("comment_id")), 0))
        counted = new.order_by().values("request").annotate(count=Count("pk")).values("count")
        return self.annotate(unread=Coalesce(Subquery(counted), 0))

    def waiting(self) -> Self:
        """Requests without a decision."""
        return self.filter(state=RequestState.PENDING)

    def to_look_at(self, now: datetime) -> Self:
        """Waiting requests whose plan a worker is to try, those that wait longest first."""
        return self.waiting().filter(look_due(now)).order_by("next_look_at", "id")


class AccessRequest(models.Model):
    """A person asks for an offer, or for more time. The code also names the grant that may follow.

    A request that `extends` a grant makes no grant of its own: once approved, the grant ends at
    `extends_until` and rests on this request.
    """

    code = models.CharField(max_length=16, unique=True, default=new_code, editable=False)
    requester = models.ForeignKey(User, on_delete=models.PROTECT, related_name="requests")
    identity = models.ForeignKey(IamIdentity, on_delete=models.PROTECT, related_name="requests")
    offer = models.ForeignKey(Offer, on_delete=models.PROTECT, related_name="requests")
    profile_version = models.ForeignKey(ProfileVersion, on_delete=models.PROTECT, related_name="+")
    """Pinned when asked, so that a later edit of the profile changes nothing here."""
    duration = models.DurationField()
    """How long the access lasts; for an extension, the time that is added."""
    starts_at = models.DateTimeField(null=True, blank=True)
    """The start that was asked for; null for one at the decision. A decision after it starts the
    access at the decision, for the full duration."""
    extends = models.ForeignKey(
        "Grant", on_delete=models.PROTECT, null=True, blank=True, related_name="extensions"
    )
    extends_until = models.DateTimeField(null=True, blank=True)
    """The end that an extension asks for, known when asking: the end then, plus the duration."""
    terms_duration = models.DurationField(null=True, blank=True, editable=False)
    """A shorter duration that an approver put in place of the one asked for."""
    terms_start = models.DateTimeField(null=True, blank=True, editable=False)
    """A later start, likewise. Both are part of the plan: whoever approved another is asked again
    (docs/adr/0028)."""
    terms_by = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, blank=True, editable=False, related_name="+"
    )
    terms_at = models.DateTimeField(null=True, blank=True, editable=False)
    """When somebody last changed the terms, back to what was asked included."""
    reason = models.CharField(max_length=500)
    ticket = models.CharField(
        max_length=tickets.LONGEST_TICKET, blank=True, default="", validators=[validate_one_line]
    )
    batch = models.UUIDField(null=True, blank=True, editable=False)
    """What requests that were sent in one go have in common; each is decided by itself."""
    approvals_needed = models.PositiveSmallIntegerField(default=1, db_default=1)
    """How many different people must approve, as the offer said when asked (`approvals.stages`)."""
    quorums = models.JSONField(default=list, blank=True, editable=False)
    """The quorums of the offer's stages when asked, by position."""
    stage = models.PositiveSmallIntegerField(default=1, db_default=1, editable=False)
    """Position of the stage that is asked now, for lists; `approvals.Standing` has the rule."""
    trace = models.JSONField(default=list, blank=True, editable=False)
    """Which rules applied when it was asked, and which were looked at and lost (core.trace)."""
    state = models.CharField(
        max_length=10, choices=[(s.value, s.value) for s in RequestState], default="pending"
    )
    asked_at = models.DateTimeField(db_default=Now(), editable=False)
    lapses_at = models.DateTimeField()
    preview = models.JSONField(null=True, blank=True, editable=False)
    """What a worker found when it tried the plan: steps, findings, problem; null until then."""
    previewed_at = models.DateTimeField(null=True, blank=True, editable=False)
    """When the look began that `preview` shows."""
    next_look_at = models.DateTimeField(null=True, blank=True, editable=False)
    """When a worker is to look again; null when nobody wants to know more. A request that was
    never looked at is due without it."""

    objects = AccessRequestQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=[s.value for s in RequestState]),
                name="request_state_is_known",
            ),
            models.CheckConstraint(
                condition=Q(duration__gt=timedelta(0)), name="request_duration_is_positive"
            ),
            models.UniqueConstraint(
                fields=["requester", "offer"],
                condition=Q(state="pending", extends__isnull=True),
                name=ONE_PENDING,
                violation_error_message=ALREADY_ASKED,
            ),
            models.UniqueConstraint(
                fields=["extends"],
                condition=Q(state="pending"),
                name=ONE_EXTENSION,
                violation_error_message=EXTENSION_ASKED,
            ),
            models.CheckConstraint(
                condition=Q(terms_duration__isnull=True)
                | Q(terms_duration__gt=timedelta(0), terms_duration__lte=F("duration")),
                name="request_terms_are_not_longer",
            ),
            models.CheckConstraint(
                condition=Q(terms_start__isnull=True)
                | Q(starts_at__isnull=True)
                | Q(terms_start__gte=F("starts_at")),
                name="request_terms_are_not_sooner",
            ),
            models.CheckConstraint(
                condition=Q(extends__isnull=True)
                | Q(terms_duration__isnull=True, terms_start__isnull=True),
                name="request_terms_are_of_new_access",
            ),
        ]
        indexes = [
            models.Index(fields=["state", "lapses_at"], name="request_state_lapses"),
            # What lists are read by, a page at a time (docs/adr/0024).
            models.Index(fields=["requester", "id"], name="request_by_person"),
            models.Index(fields=["offer", "id"], name="request_by_offer"),
            models.Index(fields=["id"], condition=Q(state="pending"), name="request_waiting"),
            models.Index(
                fields=["batch"], condition=Q(batch__isnull=False), name="request_sent_together"
            ),
        ]

    def __str__(self) -> str:
        return self.code

    def get_absolute_url(self) -> str:
        """The request's page."""
        return reverse("provisioning:request", args=[self.code])

    @property
    def lasts(self) -> timedelta:
        """How long the access would last: as an approver changed it, else as asked."""
        return self.terms_duration or self.duration

    @property
    def begins_at(self) -> datetime | None:
        """The later start, as an approver changed it, else as asked; None for the decision."""
        return self.terms_start or self.starts_at

    @property
    def has_other_terms(self) -> bool:
        """Whether an approver changed what was asked for."""
        return self.terms_duration is not None or self.terms_start is not None

    @property
    def obstacles(self) -> list[dict[str, str]]:
        """Findings of the newest look that stand in the way of an approval (core.preflight)."""
        found = (self.preview or {}).get("findings", [])
        return [one for one in found if one["level"] == Level.BLOCKS]

    def look_is_due(self, now: datetime) -> bool:
        """Whether a worker is to look, or is looking at this moment."""
        if self.next_look_at is None:
            return self.previewed_at is None
        return self.next_look_at <= now

    @property
    def looks_failed(self) -> int:
        """How many looks in a row got no answer from AWS."""
        return int((self.preview or {}).get("failed", 0))

    @property
    def taken(self) -> "BreakGlass | None":
        """The emergency that stands in place of a decision, if it is one."""
        return getattr(self, "break_glass", None)

    @property
    def is_discussed(self) -> bool:
        """Whether questions are of use: somebody is to decide, or there is access."""
        if self.state == RequestState.PENDING:
            return True
        if self.taken is not None and self.taken.closed_at is None:
            return True
        grant = getattr(self, "grant", None) or self.extends
        return grant is not None and grant.phase != Phase.ENDED

    @property
    def subject(self) -> str:
        """The request in audit events: the grant and its extensions share it, so that there is
        one timeline."""
        return f"grant:{self.extends.code if self.extends else self.code}"

    @property
    def decision(self) -> "Decision | None":
        """The deciding verdict: the rejection, or the approval after which nothing was missing.
        None while it waits, and where a rule decided."""
        if self.state not in {RequestState.APPROVED, RequestState.REJECTED}:
            return None
        return max(self.decisions.all(), key=lambda one: one.pk, default=None)

    @property
    def decided_by_rule(self) -> "RuleApproval | None":
        """The approval by the offer's rule, where no person decided."""
        return getattr(self, "rule_approval", None)

    @property
    def decided_fingerprint(self) -> str:
        """The plan that was approved; empty where nothing was."""
        decided = self.decided_by_rule or self.taken or self.decision
        return decided.fingerprint if decided else ""


class Decision(models.Model):
    """An approver's verdict, with the fingerprint of the plan they saw.

    A trigger refuses a decision by the requester, whoever writes it and by whatever road. One
    person counts once for a plan; of a plan that changed they are asked again.
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

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(verdict__in=["approved", "rejected"]), name="decision_verdict_is_known"
            ),
            models.UniqueConstraint(
                fields=["request", "approver", "fingerprint"], name="decision_once_per_plan"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.verdict} {self.request_id}"


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


class Comment(models.Model):
    """A question about a request, or an answer. It is never changed."""

    request = models.ForeignKey(AccessRequest, on_delete=models.PROTECT, related_name="comments")
    author = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    text = models.CharField(max_length=500, validators=[validate_one_line])
    said_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"comment {self.pk} on {self.request_id}"


class ReadMark(models.Model):
    """How far a person has read the comments on a request."""

    request = models.ForeignKey(AccessRequest, on_delete=models.CASCADE, related_name="read_marks")
    person = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    comment_id = models.BigIntegerField()
    """The newest comment that they have seen."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["request", "person"], name="read_mark_is_unique")
        ]

    def __str__(self) -> str:
        return f"{self.person_id} has read {self.request_id}"


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

    def for_work(self) -> Self:
        """Fetch what a worker needs and no more: the database plans a join of twelve tables for
        longer than it takes to read these."""
        return self.select_related(
            "request__requester",
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
        long_enough = Q(starts_at__lte=F("ends_at") - 2 * ENDS_SOON)
        told = Q(ends_soon_for__isnull=True) | ~Q(ends_soon_for=F("ends_at"))
        return near.filter(long_enough, told, ends_at__gt=now, ends_at__lte=now + ENDS_SOON)


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

    def usable_at(self, now: datetime) -> bool:
        """Whether the Switch role link may be shown: made, seen in AWS, and not over."""
        return self.phase_at(now) is Phase.ACTIVE


class StopQuerySet(models.QuerySet["Stop"]):
    """Which red buttons are in force."""

    def with_things(self) -> Self:
        """Fetch what their words name."""
        return self.select_related("person", "account", "pair__source", "pair__target")

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
            self.scope == Stop.Scope.EVERYTHING
            or self.person_id == person.pk
            or self.pair_id == pair.pk
            or self.account_id in {pair.source_id, pair.target_id}
        )


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


class AccountScan(models.Model):
    """One reading of an account as a whole. The unfinished one of an account is its next.

    Only the newest few are kept.
    """

    account = models.ForeignKey(AwsAccount, on_delete=models.CASCADE, related_name="scans")
    due_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    leased_until = models.DateTimeField(null=True)
    """Until when a worker holds it. One that stops renewing has died, and another begins anew."""
    finished_at = models.DateTimeField(null=True)
    calls = models.PositiveIntegerField(default=0)
    objects_seen = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True)
    """Why the account could not be read, in words; empty when it was."""

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["account"],
                condition=Q(finished_at__isnull=True),
                name="scan_one_next_per_account",
            )
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(finished_at__isnull=True), name="scan_due")
        ]

    def __str__(self) -> str:
        return f"scan {self.pk} of {self.account_id}"


class DriftFindingQuerySet(models.QuerySet["DriftFinding"]):
    """Reading findings."""

    def open(self) -> Self:
        """Those that the last scan still saw."""
        return self.filter(resolved_at__isnull=True)

    def waiting_for_a_person(self) -> Self:
        """Open ones that nobody but a person can put right: what was taken away, what is not ours,
        and what stayed although it should have been cut back."""
        mine = Q(kind__in=[Kind.NARROWED, Kind.UNKNOWN]) | Q(seen__gte=STUBBORN_AFTER)
        return self.open().filter(mine)


STUBBORN_AFTER = 4
"""Scans after which something that is cut back by itself needs a person all the same."""


class DriftFinding(models.Model):
    """Something in an account that is not as the rows say. One open row for each thing and kind."""

    account = models.ForeignKey(AwsAccount, on_delete=models.CASCADE, related_name="drift")
    kind = models.CharField(max_length=10, choices=[(k.value, k.value) for k in Kind])
    thing = models.CharField(max_length=10, choices=[(t.value, t.value) for t in Thing])
    name = models.CharField(max_length=260)
    grant = models.ForeignKey(
        Grant, null=True, blank=True, on_delete=models.SET_NULL, related_name="drift"
    )
    summary = models.TextField()
    approved = models.JSONField(default=dict)
    in_aws = models.JSONField(default=dict)
    """The parts that differ, for a person who compares them."""
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    seen = models.PositiveIntegerField(default=1)
    """In how many scans."""
    act_at = models.DateTimeField(null=True)
    """When a worker should do something about it; null when there is nothing to do."""
    resolved_at = models.DateTimeField(null=True)
    done = models.TextField(blank=True)
    """What was done about it, in words."""

    objects = DriftFindingQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=[k.value for k in Kind]), name="drift_kind_is_known"
            ),
            models.CheckConstraint(
                condition=Q(thing__in=[t.value for t in Thing]), name="drift_thing_is_known"
            ),
            models.UniqueConstraint(
                fields=["account", "kind", "thing", "name"],
                condition=Q(resolved_at__isnull=True),
                name="drift_one_open_per_thing",
            ),
        ]
        indexes = [
            models.Index(fields=["act_at"], condition=Q(act_at__isnull=False), name="drift_to_do"),
            models.Index(fields=["resolved_at", "kind"], name="drift_open"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.thing} {self.name}"

    @property
    def needs_a_person(self) -> bool:
        """As `waiting_for_a_person`, for one row."""
        by_kind = self.kind in {Kind.NARROWED, Kind.UNKNOWN} or self.seen >= STUBBORN_AFTER
        return self.resolved_at is None and by_kind
