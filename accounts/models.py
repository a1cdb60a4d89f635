"""Who and where: people, AWS accounts, account pairs, access profiles, offers, IAM identities."""

import secrets
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Self
from zoneinfo import available_timezones

from django.contrib.auth.models import AbstractUser, Group, UserManager
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import Count, Exists, F, Max, OuterRef, Prefetch, Q
from django.db.models.functions import Lower, Now
from django.urls import reverse

from accounts import inline_policy, switch_groups, tickets
from accounts.aws_names import (
    GROUP_POLICIES,
    STS_REGION,
    Partition,
    Tone,
    managed_policy_names,
    objections_to_arns,
    validate_account_alias,
    validate_account_id,
    validate_group_name,
    validate_one_line,
    validate_policy_arn,
    validate_profile_role_name,
    validate_role_arn,
    validate_user_name,
)
from accounts.constraints import FieldConstraints
from accounts.durations import MINUTE, in_words
from accounts.permissions.lint import Report, Risk, review
from accounts.proposal_models import Proposal as Proposal
from accounts.proposal_models import SecondAdmin as SecondAdmin
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
SHORTEST_SESSION = timedelta(hours=1)
LONGEST_SESSION = timedelta(hours=12)
"""AWS's own bounds of MaxSessionDuration [AWS-FACTS 3.1]."""


class PortalUserManager(UserManager["User"]):
    """Makes people; somebody made by `createsuperuser` is an admin."""

    def create_superuser(
        self, username: str, email: str | None = None, password: str | None = None, **extra: object
    ) -> "User":
        """Create somebody who may open Django's admin site, and make them an admin.

        Where what widens access waits for a second admin, they are a member until one of the
        admins confirms: the command line is no door beside the rule.
        """
        # The use cases know the models, so they cannot be known here before that.
        from accounts import people

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


def new_external_id() -> str:
    """128 random bits: AWS asks the service to make it, one for each customer [AWS-FACTS 4.19]."""
    return f"sallyport-{secrets.token_hex(16)}"


class AwsAccountQuerySet(models.QuerySet["AwsAccount"]):
    """Reading accounts."""

    def with_use(self) -> Self:
        """Add how many pairs begin and end here, and as `last_checks` the last check; where that
        one still runs, the last finished one follows."""
        by_account = ConnectionCheck.objects.values("account")
        last = by_account.annotate(last=Max("pk")).values("last")
        finished = by_account.annotate(last=Max("pk", filter=Q(finished_at__isnull=False)))
        checks = ConnectionCheck.objects.filter(Q(pk__in=last) | Q(pk__in=finished.values("last")))
        # Grouped queries do not take Meta.ordering.
        rows = self.annotate(
            pairs_out=Count("pairs_from", distinct=True), pairs_in=Count("pairs_to", distinct=True)
        ).order_by(Lower("name"))
        return rows.prefetch_related(Prefetch("checks", checks, to_attr="last_checks"))


class Retirable(FieldConstraints):
    """Something that can be taken out of use for good: first it is `retiring`, and `retired` once
    nothing of it is left in AWS. Its row stays, because history names it."""

    retiring_at = models.DateTimeField(null=True, blank=True, editable=False)
    """When an admin retired it: nothing new is made with it from then on."""
    retired_at = models.DateTimeField(null=True, blank=True, editable=False)
    """When a worker had seen that nothing of it is left in AWS."""
    retired_by = models.CharField(max_length=150, blank=True, editable=False)

    class Meta:
        abstract = True

    @property
    def retirement(self) -> str:
        """`retiring`, `retired`, or nothing while it is in use."""
        return "retired" if self.retired_at else "retiring" if self.retiring_at else ""


class AwsAccount(Retirable):
    """An AWS account that takes part as source, as target, or as both."""

    account_id = models.CharField(
        "account id",
        max_length=12,
        unique=True,
        validators=[validate_account_id],
        error_messages={"unique": "This account is registered already."},
    )
    name = models.CharField(max_length=50, validators=[validate_one_line])
    alias = models.CharField(
        "account alias", max_length=63, blank=True, default="", validators=[validate_account_alias]
    )
    """The alias of the account's sign-in page, for people who know the account by it."""
    partition = models.CharField(max_length=10, choices=Partition, default=Partition.AWS)
    provisioner_role_arn = models.CharField(
        "provisioner role", max_length=640, validators=[validate_role_arn]
    )
    boundary_arn = models.CharField(
        "boundary policy", max_length=640, validators=[validate_policy_arn]
    )
    external_id = models.CharField(
        "external id", max_length=64, unique=True, default=new_external_id, editable=False
    )
    group_policies = models.JSONField(default=list, blank=True)
    """AWS managed policies that this account's switch groups also carry, by name."""
    may_create_users = models.BooleanField("Sallyport may create IAM users here", default=False)
    """Needs the account set up for it: the template's CreateUsers."""
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = AwsAccountQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                Lower("name"),
                name="account_name_unique",
                violation_error_message="Another account has this name already.",
            ),
            models.UniqueConstraint(
                fields=["partition", "alias"],
                condition=~Q(alias=""),
                name="account_alias_unique",
                violation_error_message="Another account has this alias already.",
            ),
            models.CheckConstraint(
                condition=Q(account_id__regex=r"^[0-9]{12}$"), name="account_id_is_12_digits"
            ),
            models.CheckConstraint(
                condition=Q(partition__in=list(STS_REGION)), name="account_partition_is_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.account_id})"

    def get_absolute_url(self) -> str:
        """The account's page."""
        return reverse("accounts:account", args=[self.account_id])

    def clean(self) -> None:
        """Refuse ARNs of another account, and group policies outside the closed list."""
        errors = objections_to_arns(
            partition=self.partition,
            account_id=self.account_id,
            role=self.provisioner_role_arn,
            boundary=self.boundary_arn,
        )
        if not set(self.group_policies) <= set(GROUP_POLICIES):
            message = f"A switch group may carry {', '.join(GROUP_POLICIES)} and nothing else."
            errors["group_policies"] = ValidationError(message, code="unknown_group_policy")
        if errors:
            raise ValidationError(dict(errors))

    @property
    def last_finished_check(self) -> "ConnectionCheck | None":
        """Of the checks that `with_use` fetched, the last that has a result."""
        checks: list[ConnectionCheck] = getattr(self, "last_checks", [])
        return next((one for one in checks if one.finished_at is not None), None)

    @property
    def region(self) -> str:
        """The region whose STS endpoint is used for this account."""
        return STS_REGION[self.partition]

    @property
    def subject(self) -> str:
        """The account in audit events."""
        return f"account:{self.account_id}"


class ConnectionCheck(models.Model):
    """One run of *Check connection*: asked for by a person or the sweeper, done by a worker."""

    account = models.ForeignKey(AwsAccount, on_delete=models.CASCADE, related_name="checks")
    asked_by = models.CharField(max_length=150)
    asked_at = models.DateTimeField(db_default=Now(), editable=False)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    findings = models.JSONField(default=list)
    """Findings in order: key, title, ok (true, false, or null for not tried), detail, mend."""
    failing_since = models.DateTimeField(null=True)
    """When the first of the checks failed that have failed one after the other up to this one."""

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"check {self.pk} of {self.account_id}"

    @property
    def state(self) -> str:
        """`waiting` until a worker has finished, then `passed` or `failed`."""
        if self.finished_at is None:
            return "waiting"
        return "passed" if self.passed else "failed"

    @property
    def passed(self) -> bool:
        """Whether the check has run and every finding is good."""
        return bool(self.findings) and all(one["ok"] for one in self.findings)


class AccountPairQuerySet(models.QuerySet["AccountPair"]):
    """Reading pairs."""

    def sharing(self, source: AwsAccount, group: str) -> Self:
        """The pairs in use that share a switch group."""
        return self.filter(source=source, switch_group=group, retiring_at__isnull=True)

    def with_use(self) -> Self:
        """Add how many targets each pair's switch group has, as `group_size`."""
        alike = AccountPair.objects.filter(
            source=OuterRef("source"),
            switch_group=OuterRef("switch_group"),
            retiring_at__isnull=True,
        )
        counted = alike.order_by().values("source").annotate(count=Count("pk")).values("count")
        return self.annotate(group_size=models.Subquery(counted))


def look_up_targets(pairs: Iterable["AccountPair"]) -> None:
    """Let many pairs know the targets of their switch groups, with one query."""
    pairs = list(pairs)
    known: dict[tuple[int, str], list[str]] = defaultdict(list)
    shared = AccountPair.objects.filter(
        source__in={one.source_id for one in pairs}, retiring_at__isnull=True
    )
    for source, group, target in shared.values_list("source", "switch_group", "target__account_id"):
        known[source, group].append(target)
    for one in pairs:
        one.known_targets = sorted(known[one.source_id, one.switch_group])


class AccountPair(Retirable):
    """Source and target: people whose IAM users live in the one may be let into the other."""

    source = models.ForeignKey(AwsAccount, on_delete=models.PROTECT, related_name="pairs_from")
    target = models.ForeignKey(AwsAccount, on_delete=models.PROTECT, related_name="pairs_to")
    switch_group = models.CharField(max_length=100, validators=[validate_group_name])
    """Name of the IAM group in the source account. Pairs of one source may share a group,
    because a user can be in only ten [AWS-FACTS 3.3]."""
    prepared_at = models.DateTimeField(null=True, blank=True, editable=False)
    """When a worker last made the switch group what it should be; null until it has."""
    next_check_at = models.DateTimeField(null=True, blank=True, db_default=Now(), editable=False)
    """When a worker should make it so: at once after an admin's change, null afterwards."""
    last_error = models.TextField(blank=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    known_targets: list[str] | None = None
    """What `group_targets` answers, where a page has looked it up for many pairs at once."""

    objects = AccountPairQuerySet.as_manager()

    class Meta:
        ordering = ["source__name", "target__name"]
        constraints = [
            models.UniqueConstraint(
                fields=["source", "target"],
                condition=Q(retired_at__isnull=True),
                name="pair_is_unique",
                violation_error_message="These two accounts are a pair already.",
            ),
            models.CheckConstraint(
                condition=~Q(source=F("target")),
                name="pair_source_is_not_target",
                violation_error_message="Source and target must be two accounts.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source.name} → {self.target.name}"

    @property
    def subject(self) -> str:
        """The pair in audit events."""
        return f"pair:{self.pk}"

    def clean(self) -> None:
        """Refuse a group that differs from another pair's by case only: to IAM it is the same."""
        alike = AccountPair.objects.filter(
            source=self.source_id, switch_group__iexact=self.switch_group
        ).exclude(switch_group=self.switch_group)
        other = alike.exclude(pk=self.pk).first()
        if other is not None:
            message = f"Write it as {other.switch_group}, like {other}: IAM ignores case in names."
            raise ValidationError({"switch_group": ValidationError(message, code="group_case")})

    @property
    def state(self) -> str:
        """How far the switch group is: ready, making, or failed."""
        if self.last_error:
            return "failed"
        return "ready" if self.prepared_at and self.next_check_at is None else "making"

    @property
    def group_percent(self) -> int:
        """How full the switch group's policy is, where it is worth a word, else 0."""
        targets = getattr(self, "group_size", None) or len(self.group_targets())
        percent = switch_groups.percent_used(self.source.partition, targets)
        return percent if percent >= switch_groups.WATCHED_FROM else 0

    def group_targets(self) -> list[str]:
        """Account ids of all pairs in use that share this pair's switch group, sorted."""
        if self.known_targets is not None:
            return self.known_targets
        shared = AccountPair.objects.filter(
            source=self.source, switch_group=self.switch_group, retiring_at__isnull=True
        )
        return sorted(shared.values_list("target__account_id", flat=True))


class AccessProfileQuerySet(models.QuerySet["AccessProfile"]):
    """Reading profiles."""

    def with_use(self) -> Self:
        """Add how many offers hold it, and the current version as `current_versions`."""
        last = ProfileVersion.objects.values("profile").annotate(last=Max("pk")).values("last")
        versions = ProfileVersion.objects.filter(pk__in=last)
        # Grouped queries do not take Meta.ordering.
        rows = self.annotate(offer_count=Count("offers")).order_by(Lower("name"))
        return rows.prefetch_related(Prefetch("versions", versions, to_attr="current_versions"))


class AccessProfile(FieldConstraints):
    """A set of permissions that can be offered, in versions that never change."""

    name = models.CharField(max_length=60, validators=[validate_one_line])
    description = models.CharField(max_length=300, blank=True, validators=[validate_one_line])
    tone = models.CharField("colour", max_length=6, choices=Tone, default=Tone.GREEN)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = AccessProfileQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                Lower("name"),
                name="profile_name_unique",
                violation_error_message="Another profile has this name already.",
            ),
            models.CheckConstraint(
                condition=Q(tone__in=["F2B0A9", "FBBF93", "FAD791", "B7CA9D", "99BCE3"]),
                name="profile_tone_is_of_the_palette",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """The profile's page."""
        return reverse("accounts:profile", args=[self.pk])

    @property
    def current(self) -> "ProfileVersion":
        """The version that new requests are made with."""
        # In Python, so that a page of many can fetch all versions at once.
        return max(self.versions.all(), key=lambda one: one.number)

    @property
    def subject(self) -> str:
        """The profile in audit events."""
        return f"profile:{self.pk}"


class ProfileVersion(FieldConstraints):
    """One immutable version of a profile; requests and grants pin it.

    A database trigger refuses updates and deletions, so that what an approver saw stays what is
    provisioned, whatever an admin edits meanwhile.
    """

    profile = models.ForeignKey(AccessProfile, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    role_name = models.CharField(max_length=32, validators=[validate_profile_role_name])
    managed_policies = models.JSONField(default=list, blank=True)
    """Names of AWS managed policies, with path and without partition, such as ReadOnlyAccess."""
    inline_policy = models.JSONField(null=True, blank=True)
    session_duration = models.DurationField(default=SHORTEST_SESSION)
    require_mfa = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.CharField(max_length=150)

    class Meta:
        ordering = ["profile", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["profile", "number"], name="profile_version_unique"),
            models.CheckConstraint(
                condition=Q(session_duration__gte=SHORTEST_SESSION)
                & Q(session_duration__lte=LONGEST_SESSION),
                name="profile_session_within_aws_bounds",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.profile.name} v{self.number}"

    @property
    def number_of_policies(self) -> int:
        """How many policies a role of this version carries, the dated deny not counted."""
        return len(self.managed_policies) + (self.inline_policy is not None)

    @property
    def report(self) -> Report:
        """What these permissions amount to; worked out anew, so it follows what is known today."""
        return review(self.managed_policies, self.inline_policy)

    def clean(self) -> None:
        """Refuse permissions that AWS would not take or a profile must not hold, or none at all."""
        errors: dict[str, ValidationError] = {}
        try:
            self.managed_policies = managed_policy_names(self.managed_policies)
        except ValidationError as error:
            errors["managed_policies"] = error
        try:
            if self.inline_policy is not None:
                inline_policy.check(self.inline_policy)
        except ValidationError as error:
            errors["inline_policy"] = error
        if not errors:
            errors |= _refused_by_lint(self.report)
        if not self.managed_policies and self.inline_policy is None:
            message = "Name at least one managed policy here, or write an inline policy."
            errors["managed_policies"] = ValidationError(message, code="no_permissions")
        if errors:
            raise ValidationError(dict(errors))


def _refused_by_lint(report: Report) -> dict[str, ValidationError]:
    """What the lint refuses, by the field that it is about."""
    found: dict[str, list[ValidationError]] = {}
    for one in report.refused:
        field = "managed_policies" if one.statement is None else "inline_policy"
        place = f"{one.where}: " if one.where else ""
        message = f"{place}{one.sentence} {one.advice}".strip()
        found.setdefault(field, []).append(ValidationError(message, code=one.key))
    return {field: ValidationError(problems) for field, problems in found.items()}


def people_demanded_by(report: Report) -> int:
    """How many different people must approve such permissions at least."""
    return 2 if report.risk is Risk.HIGH else 1


class OfferQuerySet(models.QuerySet["Offer"]):
    """Which offers concern a person."""

    def with_accounts(self) -> Self:
        """Fetch what every page names: both accounts and the profile."""
        return self.select_related("pair__source", "pair__target", "profile")

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
        ordering = ["offer", "position"]
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
