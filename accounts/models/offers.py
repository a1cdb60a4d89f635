"""Offers: a profile on a pair, who may ask for it, and in which stages who approves."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Self
from zoneinfo import available_timezones

from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Now
from django.urls import reverse

from accounts import tickets
from accounts.aws_names import (
    validate_one_line,
)
from accounts.constraints import FieldConstraints
from accounts.durations import MINUTE, in_words
from accounts.models.people import User
from accounts.models.profiles import AccessProfile, people_demanded_by
from accounts.models.registry import AccountPair
from accounts.stages import (
    LARGEST_QUORUM,
    MOST_STAGES,
    Stage,
    can_be_met,
    needed,
    strictest,
)

SHORTEST_GRANT = timedelta(minutes=5)


LONGEST_GRANT = timedelta(days=7)


USUAL_WAIT = timedelta(hours=24)
"""How long a request waits for a decision before it lapses, unless its offer says otherwise."""


SHORTEST_WAIT = timedelta(minutes=15)


LONGEST_WAIT = timedelta(days=14)


class OfferQuerySet(models.QuerySet["Offer"]):
    """Which offers concern a person."""

    def with_accounts(self) -> Self:
        """Fetch what every page names: both accounts and the profile."""
        return self.select_related("pair__source", "pair__target", "profile")

    def only_names(self) -> Self:
        """Fetch what their own names are made of, and nothing else."""
        names = "profile__name", "pair__source__name", "pair__target__name"
        return self.with_accounts().only(*names)

    def open_to(self, person: User) -> Self:
        """Active offers that a person may ask for."""
        return self.naming(person).filter(is_active=True)

    def naming(self, person: User) -> Self:
        """Offers that name a person, or a group of theirs, as one who may ask: closed ones too,
        because closing an offer stops new requests and not what was approved."""
        return self.filter(_named(Offer.eligible_users, Offer.eligible_groups, "offer", person))

    def shown_to(self, person: User) -> Self:
        """Active offers that a person may know of: open to them, or listed for everybody."""
        named = _named(Offer.eligible_users, Offer.eligible_groups, "offer", person)
        return self.filter(named | Q(is_listed=True), is_active=True)

    def mentioning(self, word: str) -> Self:
        """Offers with this in a name, id or alias of an account, or in their profile."""
        places = (
            *(f"pair__{side}__{part}" for side in ("target", "source") for part in _SEARCHED),
            "profile__name",
            "profile__description",
        )
        anywhere = Q()
        for place in places:
            anywhere |= Q(**{f"{place}__icontains": word})
        return self.filter(anywhere)

    def decided_by(self, person: User) -> Self:
        """Offers whose requests a person may decide on in some stage (their own excepted, see
        authz)."""
        stages = ApprovalStage.objects.naming(person)
        return self.filter(Exists(stages.filter(offer=OuterRef("pk"))))

    def breakable_by(self, person: User) -> Self:
        """Active offers that a person may take at once in an emergency."""
        mine = person.groups.values("pk")
        return self.filter(is_active=True, break_glass_group__in=mine)

    def of_one_approver(self) -> Self:
        """Offers for which one approval is enough."""
        asked = models.Sum("stages__quorum", default=1)
        return self.alias(asked=asked).filter(asked__lt=2)

    def stages_now(self) -> dict[int, tuple[Stage, ...]]:
        """By its id, the stages of each offer with everybody who could approve right now.

        The same number of queries for any number of offers: everything that asks who approves
        rests on this.
        """
        return stages_of(self.values("pk"))


_SEARCHED = ("name", "account_id", "alias")


def stages_of(offers: Any) -> dict[int, tuple[Stage, ...]]:
    """The same for keys of offers."""
    rows = list(ApprovalStage.objects.filter(offer__in=offers).order_by("offer", "position"))
    if not rows:
        return {}
    people, found = defaultdict[int, set[int]](set), [row.pk for row in rows]
    # Auditors change nothing, so whoever is one does not count where approvers are named.
    roles = (User.Role.MEMBER, User.Role.ADMIN)
    by_name = ApprovalStage.people.through.objects.filter(
        approvalstage__in=found, user__is_active=True, user__role__in=roles
    )
    by_group = ApprovalStage.groups.through.objects.filter(
        approvalstage__in=found, group__user__is_active=True, group__user__role__in=roles
    )
    for stage, person in by_name.values_list("approvalstage", "user").union(
        by_group.values_list("approvalstage", "group__user")
    ):
        people[stage].add(person)
    stages = defaultdict[int, list[Stage]](list)
    for row in rows:
        stages[row.offer_id].append(Stage(row.name, row.quorum, frozenset(people[row.pk])))
    return {offer: tuple(those) for offer, those in stages.items()}


def _named(users: object, groups: object, owner: str, person: User) -> Q:
    """Whether a row names a person, or a group of theirs, in one of two lists."""
    by_name = users.through.objects.filter(**{owner: OuterRef("pk")}, user=person)  # type: ignore[attr-defined]
    by_group = groups.through.objects.filter(**{owner: OuterRef("pk")}, group__user=person)  # type: ignore[attr-defined]
    return Q(Exists(by_name)) | Q(Exists(by_group))


class Sensitivity(models.TextChoices):
    """How much harm access can do, in the judgement of the organisation."""

    LOW = "low", "Low"
    NORMAL = "normal", "Normal"
    HIGH = "high", "High"


class Offer(FieldConstraints):
    """A profile on a pair: who may ask, who approves (`ApprovalStage`), for how long at most."""

    pair = models.ForeignKey(AccountPair, on_delete=models.PROTECT, related_name="offers")
    profile = models.ForeignKey(AccessProfile, on_delete=models.PROTECT, related_name="offers")
    max_duration = models.DurationField("longest duration", default=timedelta(hours=4))
    default_duration = models.DurationField("usual duration", default=timedelta(hours=1))
    request_lifetime = models.DurationField("requests wait for", default=USUAL_WAIT)
    """How long a request waits for a decision before it lapses."""
    eligible_users = models.ManyToManyField(User, related_name="+", blank=True)
    eligible_groups = models.ManyToManyField(Group, related_name="+", blank=True)
    is_active = models.BooleanField("open for requests", default=True)
    is_listed = models.BooleanField("shown to everybody", default=False)
    """Whether people who may not ask see that it exists, and whom to talk to."""
    sensitivity = models.CharField(max_length=6, choices=Sensitivity, default=Sensitivity.NORMAL)
    warning = models.CharField(max_length=300, blank=True, validators=[validate_one_line])
    """What everybody who asks or approves must know, in the words of the organisation."""
    reason_prompt = models.CharField(max_length=120, blank=True, validators=[validate_one_line])
    reason_example = models.CharField(max_length=200, blank=True, validators=[validate_one_line])
    ticket_required = models.BooleanField("a ticket is required", default=False)
    ticket_pattern = models.CharField(
        max_length=tickets.LONGEST_PATTERN, blank=True, validators=[tickets.validate_pattern]
    )
    ticket_hint = models.CharField(max_length=120, blank=True, validators=[validate_one_line])

    auto_approve = models.BooleanField("approve by rule", default=False)
    """Whether a rule decides instead of a person, where every condition below holds
    (provisioning.core.autoapproval)."""
    auto_longest = models.DurationField("longest by rule", null=True, blank=True)
    auto_group = models.ForeignKey(
        Group, on_delete=models.PROTECT, related_name="+", null=True, blank=True
    )
    """Whose members the rule approves; anybody who may ask, without one. PROTECT: a rule must not
    become wider because a group was deleted."""
    auto_zone = models.CharField(max_length=64, blank=True)
    """The IANA time zone in which hours and weekdays below are meant; none means at any time."""
    auto_days = models.CharField(max_length=7, blank=True)
    """Weekdays as digits, Monday is 1: `12345`."""
    auto_from = models.TimeField(null=True, blank=True)
    auto_until = models.TimeField(null=True, blank=True)
    break_glass_group = models.ForeignKey(
        Group, on_delete=models.PROTECT, related_name="+", null=True, blank=True
    )
    """Whose members may take this access at once in an emergency, without anybody's decision and
    with a review by two others afterwards; nobody may, without one (docs/adr/0029)."""
    break_glass_longest = models.DurationField("longest in an emergency", null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = OfferQuerySet.as_manager()

    class Meta:
        ordering = ["pair__target__name", "profile__name"]
        constraints = [
            models.UniqueConstraint(
                fields=["pair", "profile"],
                name="offer_is_unique",
                violation_error_message="This profile is offered on this pair already.",
            ),
            models.CheckConstraint(
                condition=Q(max_duration__gte=SHORTEST_GRANT) & Q(max_duration__lte=LONGEST_GRANT),
                name="offer_duration_within_bounds",
                violation_error_message="The longest duration is between 5 minutes and 7 days.",
            ),
            models.CheckConstraint(
                condition=Q(default_duration__gte=SHORTEST_GRANT)
                & Q(default_duration__lte=LONGEST_GRANT),
                name="offer_usual_duration_within_bounds",
                violation_error_message="The usual duration is between 5 minutes and 7 days.",
            ),
            models.CheckConstraint(
                condition=Q(request_lifetime__gte=SHORTEST_WAIT)
                & Q(request_lifetime__lte=LONGEST_WAIT),
                name="offer_wait_within_bounds",
                violation_error_message="A request waits between 15 minutes and 14 days.",
            ),
            models.CheckConstraint(
                condition=Q(sensitivity__in=["low", "normal", "high"]),
                name="offer_sensitivity_is_known",
                violation_error_message="The sensitivity is low, normal or high.",
            ),
            models.CheckConstraint(
                condition=Q(auto_approve=False) | Q(sensitivity="low"),
                name="offer_rule_needs_low_sensitivity",
                violation_error_message="A rule approves only where the sensitivity is low.",
            ),
            models.CheckConstraint(
                condition=Q(auto_approve=False)
                | Q(
                    auto_longest__isnull=False,
                    auto_longest__gte=SHORTEST_GRANT,
                    auto_longest__lte=F("max_duration"),
                ),
                name="offer_rule_has_its_longest",
                violation_error_message=(
                    "Say how long the rule may approve: 5 minutes to the longest duration."
                ),
            ),
            models.CheckConstraint(
                condition=Q(
                    auto_zone="", auto_days="", auto_from__isnull=True, auto_until__isnull=True
                )
                | Q(
                    ~Q(auto_zone=""),
                    auto_days__regex="^[1-7]+$",
                    auto_from__isnull=False,
                    auto_until__isnull=False,
                    auto_from__lt=F("auto_until"),
                ),
                name="offer_rule_hours_are_whole",
                violation_error_message=(
                    "Working hours need a time zone, weekdays, and a beginning before their end."
                ),
            ),
            models.CheckConstraint(
                condition=Q(break_glass_group__isnull=True, break_glass_longest__isnull=True)
                | Q(
                    break_glass_group__isnull=False,
                    break_glass_longest__isnull=False,
                    break_glass_longest__gte=SHORTEST_GRANT,
                    break_glass_longest__lt=F("max_duration"),
                ),
                name="offer_break_glass_is_shorter",
                violation_error_message=(
                    "Break-glass needs a group and a longest duration: 5 minutes or more, and "
                    "shorter than the longest duration of the offer."
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.profile.name} on {self.pair}"

    @property
    def subject(self) -> str:
        """The offer in audit events."""
        return f"offer:{self.pk}"

    def get_absolute_url(self) -> str:
        """The offer's page."""
        return reverse("accounts:offer", args=[self.pk])

    def clean(self) -> None:
        """Refuse to be open on a pair that was retired, and hours of an unknown time zone."""
        errors = {}
        if self.is_active and self.pair_id and self.pair.retiring_at:
            message = "This pair was retired. Register it anew, and make an offer on that one."
            errors["is_active"] = ValidationError(message, code="offer_is_on_a_pair_in_use")
        if self.auto_zone and self.auto_zone not in available_timezones():
            message = "Choose a time zone by its name, such as Europe/Berlin."
            errors["auto_zone"] = ValidationError(message, code="unknown_time_zone")
        if errors:
            raise ValidationError(dict(errors))

    @property
    def breaks_glass(self) -> bool:
        """Whether anybody may take it at once in an emergency."""
        return self.break_glass_group_id is not None

    @property
    def usual_duration(self) -> timedelta:
        """What the form begins with: never longer than the longest."""
        return min(self.default_duration, self.max_duration)

    def requesters(self) -> models.QuerySet[User]:
        """Everybody who may ask for this offer, by name."""
        return _people(self.eligible_users, self.eligible_groups)

    def check_duration(self, duration: timedelta) -> None:
        """Raise ValidationError unless a grant of this offer may last so long."""
        if not SHORTEST_GRANT <= duration <= self.max_duration:
            longest = in_words(self.max_duration // MINUTE)
            message = f"Choose between 5 min and {longest}: that is what this offer allows."
            raise ValidationError(message, code="duration_out_of_bounds")

    def check_ticket(self, ticket: str) -> None:
        """Raise ValidationError unless a request of this offer may name this ticket, or none."""
        if not ticket and not self.ticket_required:
            return
        if not ticket:
            message, code = "A ticket is required for this access.", "ticket_required"
        elif not tickets.matches(self.ticket_pattern, ticket):
            hint = f" Expected is {self.ticket_hint}." if self.ticket_hint else ""
            message, code = f"This is no ticket as this offer wants it.{hint}", "ticket_malformed"
        else:
            return
        raise ValidationError(message, code=code)

    def approvers(self) -> models.QuerySet[User]:
        """Everybody who could decide on a request for this offer in some stage, by name."""
        people = (one for stage in self.stages_now() for one in stage.people)
        return User.objects.filter(pk__in=set(people)).order_by("username")

    def stages_now(self) -> tuple[Stage, ...]:
        """The stages as they are at this moment, with everybody who could approve."""
        return stages_of([self.pk]).get(self.pk, ())

    def stages_for_new(self, stages: Sequence[Stage] | None = None) -> tuple[Stage, ...]:
        """What a request that is made now must meet: more than the stages say where the
        permissions are known to be risky by now. `stages` spares the queries."""
        by_risk = people_demanded_by(self.profile.current.report)
        return strictest(self.stages_now() if stages is None else stages, floor=by_risk)

    @property
    def quorums(self) -> list[int]:
        """The quorums of the stages, by position."""
        return [one.quorum for one in self.stages.all()]

    @property
    def approvals_said(self) -> int:
        """How many different people the stages ask for."""
        return sum(self.quorums) or 1

    @property
    def approvals_needed(self) -> int:
        """How many different people must approve a request that is made now.

        Also where the offer says less: what is known to be risky may have grown since it was made.
        """
        return max(self.approvals_said, people_demanded_by(self.profile.current.report))

    def warnings(self) -> list[str]:
        """What is allowed, but leaves the offer without use for somebody, as sentences."""
        if not self.is_active:
            return []
        return [*self._stage_warnings(), *self._people_warnings()]

    def _stage_warnings(self) -> list[str]:
        now = self.stages_now()
        stages = self.stages_for_new(now)
        people = frozenset(one for stage in stages for one in stage.people)
        warnings = []
        if needed(now) < needed(stages):
            warnings.append(
                "The permissions are known to be risky by now, so two approvers are asked for "
                "every new request. Raise a quorum, or add a stage, to say so."
            )
        if people and not can_be_met(stages):
            warnings.append(
                "Two different people must approve, and there is only one approver: nobody can "
                "get this access."
                if needed(stages) == 2 and len(people) == 1
                else "There are too few different people for all stages, and a person counts "
                "once: nobody can get this access."
            )
        return warnings

    def _people_warnings(self) -> list[str]:
        approvers, requesters = list(self.approvers()[:2]), self.requesters()
        if not approvers:
            return ["Nobody can approve: the groups that do have no members who can sign in."]
        if not requesters.exists():
            return ["Nobody can ask: the groups that may have no members who can sign in."]
        only = approvers[0]
        if len(approvers) > 1 or not requesters.filter(pk=only.pk).exists():
            return []
        return [
            f"{only.label} is the only approver and may ask as well. Nobody decides on their own "
            f"request, so {only.label} cannot get this access until somebody else approves too."
        ]


def _people(users: Any, groups: Any) -> models.QuerySet[User]:
    """The people named, and the members of the groups named, who can sign in; by user name."""
    named = Q(pk__in=users.values("pk")) | Q(groups__in=groups.values("pk"))
    return User.objects.filter(named, is_active=True).distinct().order_by("username")


class ApprovalStageQuerySet(models.QuerySet["ApprovalStage"]):
    """Reading stages."""

    def naming(self, person: User) -> Self:
        """Stages that name a person, or a group of theirs."""
        return self.filter(
            _named(ApprovalStage.people, ApprovalStage.groups, "approvalstage", person)
        )


class ApprovalStage(FieldConstraints):
    """How many of which people must approve, and in which order the stages are asked.

    A person counts once for a request, over all its stages (`accounts.stages`).
    """

    offer = models.ForeignKey(Offer, on_delete=models.CASCADE, related_name="stages")
    position = models.PositiveSmallIntegerField()
    """From 1; there are no gaps."""
    name = models.CharField(max_length=60, validators=[validate_one_line])
    quorum = models.PositiveSmallIntegerField(default=1)
    people = models.ManyToManyField(User, related_name="+", blank=True)
    groups = models.ManyToManyField(Group, related_name="+", blank=True)

    objects = ApprovalStageQuerySet.as_manager()

    class Meta:
        # By key: by "offer" it would be by the names of its accounts, and join five tables.
        ordering = ["offer_id", "position"]
        constraints = [
            models.UniqueConstraint(fields=["offer", "position"], name="stage_position_unique"),
            models.CheckConstraint(
                condition=Q(position__gte=1) & Q(position__lte=MOST_STAGES),
                name="stage_position_within_bounds",
            ),
            models.CheckConstraint(
                condition=Q(quorum__gte=1) & Q(quorum__lte=LARGEST_QUORUM),
                name="stage_quorum_within_bounds",
                violation_error_message=f"In a stage 1 to {LARGEST_QUORUM} people approve.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.offer_id}"


class FavouriteOffer(models.Model):
    """An offer that a person has marked with a star, to find it at once."""

    person = models.ForeignKey(User, on_delete=models.CASCADE, related_name="favourites")
    offer = models.ForeignKey(Offer, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["person", "offer"], name="favourite_is_unique")
        ]

    def __str__(self) -> str:
        return f"{self.person_id} likes {self.offer_id}"
