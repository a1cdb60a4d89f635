"""Access requests: what was asked for, and what is said about it."""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Self

from django.db import models
from django.db.models import Count, Exists, F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce, Least, Now
from django.urls import reverse

from accounts import tickets
from accounts.aws_names import validate_one_line
from accounts.models import USUAL_WAIT, ApprovalStage, IamIdentity, Offer, ProfileVersion, User
from provisioning.core import naming
from provisioning.core.preflight import Level
from provisioning.core.states import Phase, RequestState

if TYPE_CHECKING:
    from provisioning.models.break_glass import BreakGlass
    from provisioning.models.decisions import Decision, RuleApproval

PENDING_LIFETIME = USUAL_WAIT
ONE_PENDING = "request_one_pending_per_offer"
ALREADY_ASKED = "A request of yours for this offer waits for a decision."
ONE_EXTENSION = "request_one_pending_extension"
EXTENSION_ASKED = "A request of yours for more time waits for a decision."
FURTHEST_START = timedelta(days=14)
"""How far ahead a start may be asked for: people, pairs and profiles change."""


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

    def for_list(self) -> Self:
        """Fetch for a list what its lines name, once somebody asks: of a kind all at once, and what
        several lines share only once. To join it, as `with_parties` does for one of them, takes
        the database longer to plan than to read."""
        return self.fetch_mode(models.FETCH_PEERS)

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
        """Requests of others that wait for a person: their open stage names them, and they have not
        approved the plan yet.

        By `stage` and `approved_mark`, which are kept for lists such as this; `approvals` has the
        rule itself.
        """
        stages = ApprovalStage.objects.filter(offer=OuterRef("offer"))
        last = stages.order_by("-position").values("position")[:1]
        open_now = stages.naming(person).filter(position=Least(OuterRef("stage"), Subquery(last)))
        waiting = self.waiting().filter(Exists(open_now)).exclude(requester=person)
        return waiting.exclude(pk__in=AccessRequest.objects.approved_by(person).values("pk"))

    def approved_by(self, person: User) -> Self:
        """Waiting requests whose plan a person has approved, so that others are asked."""
        return self.waiting().filter(
            decisions__approver=person,
            decisions__verdict="approved",
            decisions__again=False,
            decisions__fingerprint=F("approved_mark"),
        )

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
    approved_mark = models.CharField(
        max_length=64, blank=True, default="", db_default="", editable=False
    )
    """Fingerprint of the plan whose approvers have nothing left to say, likewise for lists; empty
    where nobody approved, and where those who did are asked for a last word."""
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
