"""What people's decisions make of a grant: it starts, ends later, is revoked, is given back."""

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction
from django.db.models import F

from audit.models import append, append_all, event
from provisioning.core.states import Phase, RequestState
from provisioning.lifecycle.common import SWEEPER, StaleState, utc
from provisioning.lifecycle.requests import move_request
from provisioning.models import AccessRequest, Decision, Grant


def start_grant(request: AccessRequest, *, fingerprint: str, actor: str, now: datetime) -> Grant:
    """The clock of a grant starts at the decision, or at the later start that was asked for."""
    start = max(now, request.begins_at or now)
    phase = Phase.SCHEDULED if start > now else Phase.PENDING
    grant = Grant.objects.create(
        request=request,
        code=request.code,
        identity=request.identity,
        profile_version=request.profile_version,
        phase=phase,
        starts_at=start,
        ends_at=(start + request.lasts).replace(microsecond=0),
        fingerprint=fingerprint,
        iam_user_arn=request.identity.arn,
        iam_user_id=request.identity.unique_id,
        boundary_arn=request.offer.pair.target.boundary_arn,
        next_check_at=start,
    )
    begins = f" from {utc(start)}" if phase is Phase.SCHEDULED else ""
    append(
        kind=f"grant:phase:{phase}",
        actor=actor,
        subject=grant.subject,
        sentence=f"Access was granted{begins} until {utc(grant.ends_at)}.",
        data={
            "starts_at": grant.starts_at.isoformat(),
            "ends_at": grant.ends_at.isoformat(),
            "fingerprint": grant.fingerprint,
        },
    )
    return grant


def extend_grant(decision: Decision) -> Grant:
    """Move a live grant's end, and let a worker give the time that was approved.

    A worker that looks at the grant this moment knows the former end only, so its lease is broken:
    it may record nothing more.
    """
    request, now = decision.request, decision.decided_at
    grant = request.extends
    assert grant is not None  # noqa: S101  # For the type: the caller has looked.
    former = grant.ends_at
    live = Grant.objects.filter(
        pk=grant.pk,
        phase=Phase.ACTIVE,
        revoked_at__isnull=True,
        extending_from__isnull=True,
        ends_at=former,
        ends_at__gt=now,
    )
    changed = live.update(
        ends_at=request.extends_until,
        extending_from=former,
        authority=request,
        fingerprint=decision.fingerprint,
        reopened_at=now,
        next_check_at=now,
        generation=F("generation") + 1,
        leased_until=None,
        attempts=0,
    )
    if changed != 1:
        raise StaleState("The access is not active any more, so it cannot be extended.")
    append(
        kind="grant:extended",
        actor=decision.approver.username,
        subject=grant.subject,
        sentence=f"The access was extended from {utc(former)} to {utc(request.extends_until)}.",
        data={
            "ends_at": request.extends_until.isoformat() if request.extends_until else None,
            "fingerprint": decision.fingerprint,
            "request": request.code,
        },
    )
    return Grant.objects.with_parties().get(pk=grant.pk)


def revoke(grant: Grant, *, actor: str, sentence: str, reason: str, now: datetime) -> None:
    """Say that a grant's access should no longer exist. Raises StaleState if that was said before.

    A worker's lease is broken: the lock-out must not wait for one that may be dead.
    """
    with transaction.atomic():
        live = Grant.objects.filter(pk=grant.pk, revoked_at__isnull=True).exclude(phase=Phase.ENDED)
        changed = live.update(
            revoked_at=now,
            revoked_by=actor,
            revoke_reason=reason[:500],
            next_check_at=now,
            leased_until=None,
            attempts=0,
        )
        if changed != 1:
            raise StaleState("This access has been revoked or has ended meanwhile.")
        append(
            kind="grant:revoked",
            actor=actor,
            subject=grant.subject,
            sentence=sentence,
            reason=reason,
        )
        _lapse_extensions(grant)


def _lapse_extensions(grant: Grant) -> None:
    """Nothing is left to extend, so nobody is asked any longer."""
    for request in grant.extensions.filter(state=RequestState.PENDING):
        try:
            move_request(
                request,
                RequestState.EXPIRED,
                actor=SWEEPER,
                sentence="The access is over, so the request to extend it lapsed.",
            )
        except StaleState:
            # Decided in this very moment: an approval finds the grant revoked and is refused.
            continue


def reopen(grant: Grant, *, actor: str, sentence: str, reason: str, now: datetime) -> None:
    """Allow a worker to give again what a live grant lacks in AWS: a person asked for it.

    A worker that looks at the grant this moment does not know of it, so its lease is broken: it
    may record nothing more. Raises StaleState when the access is over.
    """
    with transaction.atomic():
        live = Grant.objects.filter(pk=grant.pk, revoked_at__isnull=True, ends_at__gt=now)
        changed = live.exclude(phase=Phase.ENDED).update(
            reopened_at=now,
            next_check_at=now,
            generation=F("generation") + 1,
            leased_until=None,
            attempts=0,
        )
        if changed != 1:
            raise StaleState("This access has been revoked or has ended meanwhile.")
        append(
            kind="grant:reopened",
            actor=actor,
            subject=grant.subject,
            sentence=sentence,
            reason=reason,
        )


def look_again(grant_ids: Iterable[int], now: datetime) -> int:
    """Ask a worker to look at live grants with fresh eyes. Returns how many were not due already.

    It decides nothing: what a worker may do follows from the row, as always.
    """
    later = Grant.objects.live().filter(pk__in=list(grant_ids), next_check_at__gt=now)
    return later.update(next_check_at=now)


@transaction.atomic
def note_ending_soon(now: datetime, *, limit: int) -> int:
    """Tell once, shortly before the end, that access ends; notices send it on."""
    near = Grant.objects.ending_soon(now).select_for_update(of=("self",), skip_locked=True)
    rows = list(near.order_by("ends_at", "id").only("pk", "code", "ends_at")[:limit])
    Grant.objects.filter(pk__in=[one.pk for one in rows]).update(ends_soon_for=F("ends_at"))
    append_all(
        event(
            kind="grant:ends-soon",
            actor=SWEEPER,
            subject=one.subject,
            sentence=f"The access ends soon, at {utc(one.ends_at)}.",
            data={"ends_at": one.ends_at.isoformat(), "grant": one.code},
        )
        for one in rows
    )
    return len(rows)
