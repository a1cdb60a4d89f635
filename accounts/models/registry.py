"""AWS accounts, the checks of their set-up, and account pairs."""

import secrets
from collections import defaultdict
from collections.abc import Iterable
from typing import Self

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Count, F, Max, OuterRef, Prefetch, Q
from django.db.models.functions import Lower, Now
from django.urls import reverse

from accounts import switch_groups
from accounts.aws_names import (
    GROUP_POLICIES,
    STS_REGION,
    Partition,
    objections_to_arns,
    validate_account_alias,
    validate_account_id,
    validate_group_name,
    validate_one_line,
    validate_policy_arn,
    validate_role_arn,
)
from accounts.constraints import FieldConstraints


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
