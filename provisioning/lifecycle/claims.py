"""A worker's hold on a grant: taken for a while, renewed before each step, lost to a revocation."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q

from provisioning.lifecycle.common import StaleState
from provisioning.models import AccessRequest, Grant

LEASE = timedelta(seconds=90)
"""How long a claim holds that nobody renews: what a worker that died held waits for so long, unless
a revocation breaks it."""
LONGEST_CALL = timedelta(seconds=80)
"""What one call to AWS can take with its time-outs and retries. A lease is renewed before each step
that it might not outlast."""


def claim(grant_id: int, now: datetime) -> Grant | None:
    """Take a grant for work, or None when it has ended or another worker holds it."""
    free = Q(leased_until__isnull=True) | Q(leased_until__lt=now)
    mine = Grant.objects.live().filter(free, pk=grant_id)
    # One transaction: a revocation breaks a lease, and another worker's claim right after it would
    # otherwise be read here as one's own, with its generation.
    with transaction.atomic():
        if mine.update(generation=F("generation") + 1, leased_until=now + LEASE) != 1:
            return None
        grant = Grant.objects.for_work().get(pk=grant_id)
    for request in (grant.request, grant.rests_on):
        _share(grant, request)
    return grant


def _share(grant: Grant, request: AccessRequest) -> None:
    """Let a request use the rows that were read with the grant, where it names the same ones."""
    if request.identity_id == grant.identity_id:
        request.identity = grant.identity
    if request.profile_version_id == grant.profile_version_id:
        request.profile_version = grant.profile_version
    if request.offer_id == grant.request.offer_id:
        request.offer = grant.request.offer
    if request.extends_id == grant.pk:
        request.extends = grant


def renew(grant: Grant, now: datetime, *, intent: bool = False) -> bool:
    """Hold on to a claim before a step. False when it is lost or the access was revoked since.

    `intent` says that the step makes something: that is stored before it is done. Where that was
    said before, and the lease outlasts the step anyway, reading is enough.
    """
    held = Grant.objects.filter(
        pk=grant.pk, generation=grant.generation, revoked_at=grant.revoked_at
    )
    says_nothing_new = grant.intent_at is not None or not intent
    if says_nothing_new and held.filter(leased_until__gte=now + LONGEST_CALL).exists():
        return True
    values = {"leased_until": now + LEASE}
    if intent and grant.intent_at is None:
        values["intent_at"] = grant.intent_at = now
    return held.update(**values) == 1


def postpone(grant: Grant, until: datetime) -> None:
    """Give a claim back without having done anything: the account has no room at the moment."""
    record(grant, leased_until=None, next_check_at=until)


def record(grant: Grant, **values: object) -> None:
    """Write what a worker found, if its claim still holds and nobody revoked meanwhile."""
    held = Grant.objects.live().filter(
        pk=grant.pk, generation=grant.generation, revoked_at=grant.revoked_at
    )
    if held.update(**values) != 1:
        raise StaleState("Another worker took over.")
    for name, value in values.items():
        setattr(grant, name, value)
