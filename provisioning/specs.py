"""From rows to values: what the documents of a request or grant depend on."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models.functions import Coalesce

from accounts.models import AccountPair, AwsAccount, ProfileVersion
from provisioning.core.plan import AccountRef, GrantSpec, GroupSpec
from provisioning.models import AccessRequest, Grant, GrantQuerySet


def account_ref(account: AwsAccount) -> AccountRef:
    """The account as documents need it."""
    return AccountRef(account.partition, account.account_id, account.name)


def spec_for_request(
    request: AccessRequest, *, group_targets: Sequence[str] | None = None
) -> GrantSpec:
    """What the documents of a request's grant would depend on, before the decision.

    An extension is about the role of the grant that it extends, with its end as asked.
    `group_targets` spares a query where the caller does not look at the switch group.
    """
    pair, identity = request.offer.pair, request.identity
    return replace(
        _shared(pair, request.profile_version),
        code=request.extends.code if request.extends else request.code,
        user_name=identity.user_name,
        user_arn=identity.arn,
        user_id=identity.unique_id,
        group_targets=tuple(pair.group_targets() if group_targets is None else group_targets),
        duration=request.lasts,
        group_is_ready=pair.state == "ready",
        asked_start=request.begins_at,
        until=request.extends_until,
    )


def _shared(pair: AccountPair, version: ProfileVersion) -> GrantSpec:
    """What all grants of a profile on a pair have in common; nobody's in particular."""
    return GrantSpec(
        code="",
        portal_id=settings.PORTAL_ID,
        source=account_ref(pair.source),
        target=account_ref(pair.target),
        user_name="",
        user_arn="",
        user_id="",
        switch_group=pair.switch_group,
        group_targets=(),
        group_policies=tuple(pair.source.group_policies),
        profile_role=version.role_name,
        managed_policies=tuple(version.managed_policies),
        inline_policy=version.inline_policy,
        max_session=version.session_duration,
        require_mfa=version.require_mfa,
        boundary_arn=pair.target.boundary_arn,
        duration=timedelta(0),
        group_is_ready=True,
    )


def spec_for_grant(grant: Grant, *, group_targets: Sequence[str] | None = None) -> GrantSpec:
    """What the documents of a grant depend on now."""
    spec = spec_for_request(grant.request, group_targets=group_targets)
    return replace(
        spec,
        # What has settled is looked at as a whole: the group may have been changed since.
        group_is_ready=spec.group_is_ready and grant.settled_at is None,
        user_arn=grant.iam_user_arn,
        user_id=grant.iam_user_id,
        boundary_arn=grant.boundary_arn,
        starts_at=grant.starts_at,
        ends_at=grant.ends_at,
        revoked_at=grant.revoked_at,
    )


def spec_for_work(grant: Grant, now: datetime) -> GrantSpec:
    """The same for a worker. Where the switch group leads is read only for a look at the group."""
    spec = spec_for_grant(grant, group_targets=())
    if spec.group_is_ready or not grant.should_exist(now):
        return spec
    return with_group(spec, grant)


def with_group(spec: GrantSpec, grant: Grant) -> GrantSpec:
    """A spec for a look at the switch group as a whole."""
    targets = grant.request.offer.pair.group_targets()
    return replace(spec, group_is_ready=False, group_targets=tuple(targets))


def spec_of_role(grant: Grant) -> GrantSpec:
    """What the issued role of a grant depends on; nothing of its switch group, and no query."""
    spec = spec_for_grant(grant, group_targets=())
    return replace(spec, group_is_ready=True)


def specs_of_roles(grants: GrantQuerySet) -> Iterator[tuple[int, GrantSpec]]:
    """Grants by their keys with `spec_of_role`, for thousands: only the columns that it depends on,
    and what many share once. Making objects of all rows would cost ten times as much."""
    rows = list(grants.order_by().values_list(*_ROLE_COLUMNS))
    versions = ProfileVersion.objects.in_bulk({row[-2] for row in rows})
    pairs = AccountPair.objects.select_related("source", "target").in_bulk(
        {row[-1] for row in rows}
    )
    shared: dict[tuple[int, int], GrantSpec] = {}
    for pk, *own, version, pair in rows:
        if (version, pair) not in shared:
            shared[version, pair] = _shared(pairs[pair], versions[version])
        yield pk, replace(shared[version, pair], **dict(zip(_OWN_FIELDS, own, strict=True)))


_OWN: dict[str, str | Coalesce] = {
    "code": "code",
    "user_name": "identity__user_name",
    "user_arn": "iam_user_arn",
    "user_id": "iam_user_id",
    "boundary_arn": "boundary_arn",
    "duration": Coalesce("request__terms_duration", "request__duration"),
    "starts_at": "starts_at",
    "ends_at": "ends_at",
    "revoked_at": "revoked_at",
    "asked_start": Coalesce("request__terms_start", "request__starts_at"),
}
"""Fields of a spec that a grant has to itself, and where its row has them."""
_OWN_FIELDS = tuple(_OWN)
_ROLE_COLUMNS = ("pk", *_OWN.values(), "profile_version", "request__offer__pair")


def group_spec(pair: AccountPair) -> GroupSpec:
    """What a pair's switch group depends on."""
    return GroupSpec(
        source=account_ref(pair.source),
        name=pair.switch_group,
        targets=tuple(pair.group_targets()),
        policies=tuple(pair.source.group_policies),
    )


def others_need_membership(grant: Grant, now: datetime) -> bool:
    """Whether another live grant of the same IAM user goes through the same switch group.

    One that is scheduled does not need it yet.
    """
    pair = grant.request.offer.pair
    return (
        Grant.objects.live()
        .filter(
            identity_id=grant.identity_id,
            request__offer__pair__source=pair.source,
            request__offer__pair__switch_group=pair.switch_group,
            revoked_at__isnull=True,
            starts_at__lte=now,
            ends_at__gt=now,
        )
        .exclude(pk=grant.pk)
        .exists()
    )
