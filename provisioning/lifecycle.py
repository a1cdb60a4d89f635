"""The only writer of states, and of the events that tell of them.

Every move is compare-and-set: an update where the old state still holds. No row updated means
that somebody else got there first, and raises StaleState. The event is appended in the same
transaction, so that there is no change without it and no event without the change (I8).
"""

import random
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q

from accounts.models import AccountPair
from audit.models import append
from provisioning.core.states import Phase, RequestState
from provisioning.models import AccessRequest, Decision, Grant

WORKER = "system:worker"
SWEEPER = "system:sweeper"

LEASE = timedelta(seconds=90)
"""Longer than one call to AWS can take with its time-outs and retries; renewed before each step."""
LONGEST_BACK_OFF = timedelta(minutes=5)
PAIR_RETRY = timedelta(minutes=1)
RECHECK = timedelta(minutes=10)
"""How often a settled grant is read again while it lives."""


class StaleState(Exception):
    """Somebody else moved the thing meanwhile; nothing was changed."""


@transaction.atomic
def open_request(request: AccessRequest, *, actor: str) -> AccessRequest:
    """Store a new request."""
    request.save(force_insert=True)
    offer = request.offer
    append(
        kind="request:state:pending",
        actor=actor,
        subject=request.subject,
        sentence=f"{request.requester.label} asked for {offer.profile.name} on {offer.pair}.",
        reason=request.reason,
        data={
            "offer": offer.pk,
            "profile_version": request.profile_version_id,
            "minutes": int(request.duration.total_seconds() // 60),
            "iam_user": request.identity.user_name,
        },
    )
    return request


def move_request(
    request: AccessRequest, to: RequestState, *, actor: str, sentence: str, reason: str = ""
) -> None:
    """Move a pending request to its end state. Raises StaleState."""
    with transaction.atomic():
        moved = AccessRequest.objects.filter(pk=request.pk, state=RequestState.PENDING)
        if moved.update(state=to) != 1:
            raise StaleState("This request has been decided or withdrawn meanwhile.")
        request.state = to
        append(
            kind=f"request:state:{to}",
            actor=actor,
            subject=request.subject,
            sentence=sentence,
            reason=reason,
        )


@transaction.atomic
def decide(decision: Decision) -> Grant | None:
    """Store a decision, move its request, and start the grant if it was approved."""
    request = decision.request
    person = decision.approver
    state = RequestState(decision.verdict)
    move_request(
        request,
        state,
        actor=person.username,
        sentence=f"{person.label} {state} the request.",
        reason=decision.reason,
    )
    decision.save(force_insert=True)
    return _start_grant(decision) if state is RequestState.APPROVED else None


def _start_grant(decision: Decision) -> Grant:
    """The clock of a grant starts at the decision, not when somebody asked."""
    request, now = decision.request, decision.decided_at
    grant = Grant.objects.create(
        request=request,
        code=request.code,
        identity=request.identity,
        profile_version=request.profile_version,
        starts_at=now,
        ends_at=(now + request.duration).replace(microsecond=0),
        fingerprint=decision.fingerprint,
        iam_user_arn=request.identity.arn,
        iam_user_id=request.identity.unique_id,
        boundary_arn=request.offer.pair.target.boundary_arn,
        next_check_at=now,
    )
    append(
        kind="grant:phase:pending",
        actor=decision.approver.username,
        subject=grant.subject,
        sentence=f"Access was granted until {grant.ends_at:%Y-%m-%d %H:%M:%S} UTC.",
        data={"ends_at": grant.ends_at.isoformat(), "fingerprint": grant.fingerprint},
    )
    return grant


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


def reopen(grant: Grant, *, actor: str, sentence: str, reason: str, now: datetime) -> None:
    """Allow a worker to give again what a live grant lacks in AWS: a person asked for it.

    Raises StaleState when the access is over.
    """
    with transaction.atomic():
        live = Grant.objects.filter(pk=grant.pk, revoked_at__isnull=True, ends_at__gt=now)
        changed = live.exclude(phase=Phase.ENDED).update(
            reopened_at=now, next_check_at=now, attempts=0
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


# --- Claims ----------------------------------------------------------------------------------


def claim(grant_id: int, now: datetime) -> Grant | None:
    """Take a grant for work, or None when it has ended or another worker holds it."""
    free = Q(leased_until__isnull=True) | Q(leased_until__lt=now)
    claimed = (
        Grant.objects.live()
        .filter(free, pk=grant_id)
        .update(generation=F("generation") + 1, leased_until=now + LEASE)
    )
    return Grant.objects.with_parties().get(pk=grant_id) if claimed else None


def renew(grant: Grant, now: datetime) -> bool:
    """Hold on to a claim before a step. False when it is lost or the access was revoked since."""
    held = Grant.objects.filter(
        pk=grant.pk, generation=grant.generation, revoked_at=grant.revoked_at
    )
    return held.update(leased_until=now + LEASE) == 1


def postpone(grant: Grant, until: datetime) -> None:
    """Give a claim back without having done anything: the account has no room at the moment."""
    _record(grant, leased_until=None, next_check_at=until)


def _record(grant: Grant, **values: object) -> None:
    """Write what a worker found, if its claim still holds and nobody revoked meanwhile."""
    held = Grant.objects.live().filter(
        pk=grant.pk, generation=grant.generation, revoked_at=grant.revoked_at
    )
    if held.update(**values) != 1:
        raise StaleState("Another worker took over.")
    for name, value in values.items():
        setattr(grant, name, value)


def note_intent(grant: Grant, now: datetime) -> None:
    """Store, before the first step that makes something, that a worker set out to make it."""
    if grant.intent_at is None:
        _record(grant, intent_at=now)


def note_lock_out(grant: Grant, now: datetime) -> None:
    """Store that AWS answered the first step of a removal."""
    if grant.locked_out_at is None:
        with transaction.atomic():
            _record(grant, locked_out_at=now)
            append(
                kind="grant:locked_out",
                actor=WORKER,
                subject=grant.subject,
                sentence="AWS refuses the role everything from now on, open sessions included.",
            )


def note_phase(grant: Grant, phase: Phase, now: datetime, *, remark: str = "") -> None:
    """Record what AWS was seen to be, and when to look next. `remark` is shown beside the phase."""
    values: dict[str, object] = {
        "phase": phase,
        "last_error": remark,
        "attempts": 0,
        "leased_until": None,
        "next_check_at": _next_check(grant, phase, now),
    }
    if phase is Phase.ACTIVE:
        values["settled_at"] = grant.settled_at or now
        values["reopened_at"] = None
    if phase is Phase.ENDED:
        values["ended_at"] = now
    before = grant.phase
    with transaction.atomic():
        _record(grant, **values)
        if before != phase:
            append(
                kind=f"grant:phase:{phase}",
                actor=WORKER,
                subject=grant.subject,
                sentence=_PHASE_SENTENCES[phase],
                reason=remark,
                data={"from": before},
            )


_PHASE_SENTENCES = {
    Phase.PENDING: "AWS no longer is as it was approved.",
    Phase.ACTIVE: "The access exists in AWS and can be used.",
    Phase.ENDING: "The access is over; its parts in AWS are being removed.",
    Phase.ENDED: "Nothing of the access is left in AWS.",
}


def _next_check(grant: Grant, phase: Phase, now: datetime) -> datetime | None:
    if phase is Phase.ENDED:
        return None
    if phase is Phase.ENDING:
        return now + timedelta(seconds=15)
    return min(grant.ends_at, now + RECHECK)


def note_failure(grant: Grant, error: str, now: datetime) -> None:
    """Record a failed run: removals are tried for ever, creations until the end."""
    attempts = grant.attempts + 1
    with transaction.atomic():
        _record(
            grant,
            phase=_phase_after_failure(grant, now),
            last_error=error,
            attempts=attempts,
            leased_until=None,
            next_check_at=now + back_off(attempts),
        )
        append(
            kind="grant:failed",
            actor=WORKER,
            subject=grant.subject,
            sentence="A worker could not finish; it will be tried again.",
            reason=error,
            data={"attempt": attempts},
        )


def _phase_after_failure(grant: Grant, now: datetime) -> Phase:
    """An unfinished removal is `ending`; anything else stays what it was last seen to be."""
    return Phase(grant.phase) if grant.should_exist(now) else Phase.ENDING


def back_off(attempts: int) -> timedelta:
    """Doubling from 2 seconds to 5 minutes, with jitter so that a thousand do not come at once."""
    seconds = min(2.0**attempts, LONGEST_BACK_OFF.total_seconds())
    return timedelta(seconds=seconds * random.uniform(0.75, 1.25))  # noqa: S311  # Not a secret.


def note_pair(pair: AccountPair, *, began: datetime, now: datetime, error: str = "") -> None:
    """Record whether a pair's switch group is what it should be.

    What an admin changed after the work `began` asks for another look, so that stays asked for.
    """
    asked = AccountPair.objects.filter(pk=pair.pk, next_check_at__lte=began)
    if error:
        asked.update(last_error=error, next_check_at=now + PAIR_RETRY)
        return
    with transaction.atomic():
        if asked.update(prepared_at=now, next_check_at=None, last_error="") == 1:
            append(
                kind="pair:prepared",
                actor=WORKER,
                subject=pair.subject,
                sentence=f"The switch group {pair.switch_group} of {pair} is as it should be.",
            )


def note_preview(request: AccessRequest, preview: dict[str, object], now: datetime) -> None:
    """Store what a worker found when it tried the plan. It changes no state, so no event."""
    AccessRequest.objects.filter(pk=request.pk).update(preview=preview, previewed_at=now)
