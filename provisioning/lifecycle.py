"""The only writer of states, and of the events that tell of them.

Every move is compare-and-set: an update where the old state still holds. No row updated means
that somebody else got there first, and raises StaleState. The event is appended in the same
transaction, so that there is no change without it and no event without the change (I8).
"""

import random
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import F, Q

from accounts.models import AccountPair, AwsAccount, Offer, User
from audit.models import append, append_all, event
from provisioning import approvals, rules
from provisioning.approvals import Standing
from provisioning.core.states import Phase, RequestState
from provisioning.core.steps import PlanStep
from provisioning.models import (
    REVIEWERS,
    AccessRequest,
    BreakGlass,
    Comment,
    Decision,
    Grant,
    Review,
    RuleApproval,
    Stop,
    look_due,
)

WORKER = "system:worker"
SWEEPER = "system:sweeper"

LEASE = timedelta(seconds=90)
LONGEST_CALL = timedelta(seconds=80)
"""What one call to AWS can take with its time-outs and retries. A lease is renewed before each step
that it might not outlast."""
LONGEST_BACK_OFF = timedelta(minutes=5)
LONGEST_WAIT_TO_REMOVE = timedelta(seconds=75)
"""What is over is tried again sooner, however long AWS has refused: within two minutes after it
lets us again nothing is left."""
PAIR_RETRY = timedelta(minutes=1)
PAIR_ENDING_RETRY = timedelta(seconds=15)


_MOVED_ON = "This request has been decided or withdrawn meanwhile."


class StaleState(Exception):
    """Somebody else moved the thing meanwhile; nothing was changed."""


@transaction.atomic
def open_request(request: AccessRequest, *, actor: str) -> AccessRequest:
    """Store a new request."""
    request.save(force_insert=True)
    offer = request.offer
    wish = f"for {offer.profile.name} on {offer.pair}"
    if request.extends is not None:
        wish = f"to extend the access until {_utc(request.extends_until)}"
    append(
        kind="request:state:pending",
        actor=actor,
        subject=request.subject,
        sentence=f"{request.requester.label} asked {wish}.",
        reason=request.reason,
        data={
            "request": request.code,
            "offer": offer.pk,
            "profile_version": request.profile_version_id,
            "minutes": int(request.duration.total_seconds() // 60),
            "approvals_needed": request.approvals_needed,
            "quorums": request.quorums,
            "iam_user": request.identity.user_name,
            "starts_at": request.starts_at.isoformat() if request.starts_at else None,
            "extends_until": request.extends_until.isoformat() if request.extends_until else None,
        },
    )
    return request


def _utc(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


@transaction.atomic
def move_request(
    request: AccessRequest, to: RequestState, *, actor: str, sentence: str, reason: str = ""
) -> None:
    """Move a pending request to its end state. Raises StaleState."""
    _move_request(request, to, actor=actor, sentence=sentence, reason=reason)


def _move_request(
    request: AccessRequest, to: RequestState, *, actor: str, sentence: str, reason: str
) -> None:
    """The same where a transaction is open that ends with a StaleState: without a savepoint."""
    moved = AccessRequest.objects.filter(pk=request.pk, state=RequestState.PENDING)
    if moved.update(state=to) != 1:
        raise StaleState(_MOVED_ON)
    request.state = to
    append(
        kind=f"request:state:{to}",
        actor=actor,
        subject=request.subject,
        sentence=sentence,
        reason=reason,
        data={"request": request.code},
    )


@transaction.atomic(savepoint=False)
def decide(decision: Decision, standing: Standing) -> Grant | None:
    """Store a decision. The first rejection, or the last approval that was missing, moves the
    request; enough approvals of one plan start or extend the grant.

    `standing` was read in this transaction, after the request had been locked: of two approvers in
    the same moment the second then sees the approval of the first. Raises StaleState when the
    request, or the grant that it extends, has moved meanwhile.
    """
    request, person = decision.request, decision.approver
    decision.save(force_insert=True)
    standing = standing.after(decision)
    state = RequestState(decision.verdict)
    is_enough = standing.progress(decision.fingerprint).is_complete
    if state is RequestState.APPROVED and not is_enough:
        _note_approval(decision, standing)
        return None
    _move_request(
        request,
        state,
        actor=person.username,
        sentence=f"{person.label} {_did(decision)} the request{_which(decision, standing)}.",
        reason=decision.reason,
    )
    if state is not RequestState.APPROVED:
        return None
    if request.extends:
        return _extend_grant(decision)
    return _start_grant(
        request,
        fingerprint=decision.fingerprint,
        actor=person.username,
        now=decision.decided_at,
    )


def _did(decision: Decision) -> str:
    last_word = decision.again and decision.verdict == Decision.Verdict.APPROVED
    return "approved once more" if last_word else decision.verdict


RULE = "system:rule"


@transaction.atomic
def approve_by_rule(request: AccessRequest, *, fingerprint: str, now: datetime) -> Grant:
    """Store that the rule of the offer approved, and start the grant. Raises StaleState.

    Nobody approved, so nobody is named: the actor is the rule, and a trigger lets such a row
    stand only where the offer has one.
    """
    _hold_request(request)
    trace = rules.trace(request, now, said="The rule of the offer approved.", by_rule=True)
    RuleApproval.objects.create(
        request=request, fingerprint=fingerprint, decided_at=now, trace=trace
    )
    move_request(
        request,
        RequestState.APPROVED,
        actor=RULE,
        sentence="The rule of the offer approved the request; no person had to decide.",
        reason="Every condition of the rule held.",
    )
    return _start_grant(request, fingerprint=fingerprint, actor=RULE, now=now)


def _hold_request(request: AccessRequest) -> None:
    """Lock a request that waits, until the transaction ends. Raises StaleState."""
    held = AccessRequest.objects.filter(pk=request.pk, state=RequestState.PENDING)
    if held.update(state=RequestState.PENDING) != 1:
        raise StaleState(_MOVED_ON)


def _which(decision: Decision, standing: Standing) -> str:
    """` (1 of 2 approvals)`, where more than one is needed."""
    tally = approvals.tally_of(standing, decision.fingerprint)
    plural = decision.verdict == Decision.Verdict.APPROVED and tally.needed > 1
    return f" ({tally.words})" if plural else ""


def _note_approval(decision: Decision, standing: Standing) -> None:
    """More approvals are needed, of the stage that is asked next."""
    waiting = AccessRequest.objects.filter(pk=decision.request_id, state=RequestState.PENDING)
    if waiting.update(**standing.for_lists) != 1:
        raise StaleState(_MOVED_ON)
    append(
        kind="request:approval",
        actor=decision.approver.username,
        subject=decision.request.subject,
        sentence=f"{decision.approver.label} approved the request{_which(decision, standing)}.",
        reason=decision.reason,
        data={
            "request": decision.request.code,
            "fingerprint": decision.fingerprint,
            "stage": decision.stage,
        },
    )


def renew_stages(*, after: int, limit: int) -> int:
    """Have lists go by who is asked by now, for some of the requests that somebody has approved.
    Returns the key to go on after; 0 once all were looked at.

    An offer may ask others since, an approver may have lost the right that their approval rested
    on, or got it again, or the plan is another one: none of that writes to the requests that it
    concerns.
    """
    found = approvals.partly_approved(after=after, limit=limit)
    for standing in found:
        if standing.for_lists != _as_listed(standing.request):
            _renew_stage(standing)
    return found[-1].request.pk if len(found) == limit else 0


@transaction.atomic
def _renew_stage(standing: Standing) -> None:
    """Follow how things stand, unless somebody decides in this very moment: that writes it too,
    and a sweeper that waited for it would keep removals waiting."""
    request, before, now = standing.request, _as_listed(standing.request), standing.for_lists
    waiting = AccessRequest.objects.waiting().filter(pk=request.pk, **before)
    held = waiting.select_for_update(skip_locked=True).values_list("pk", flat=True)
    if not list(held) or not waiting.update(**now):
        return
    if standing.needs_last_word:
        _note_stage(
            standing,
            "Enough approvals count without a decision: the stage “{}” is asked once more, and one "
            "approval decides.",
            again=True,
        )
    elif now["stage"] != before["stage"]:
        _note_stage(standing, "Which approvals count has changed: the stage “{}” is asked now.")


def _as_listed(request: AccessRequest) -> dict[str, Any]:
    """What lists go by at this moment."""
    return {"stage": request.stage, "approved_mark": request.approved_mark}


def _note_stage(standing: Standing, sentence: str, **more: object) -> None:
    at = standing.for_lists["stage"]
    append(
        kind="request:stage",
        actor=SWEEPER,
        subject=standing.request.subject,
        sentence=sentence.format(standing.stages[at - 1].name),
        data={"request": standing.request.code, "stage": at, **more},
    )


@transaction.atomic
def change_terms(
    request: AccessRequest,
    *,
    actor: User,
    duration: timedelta | None,
    starts_at: datetime | None,
    sentence: str,
    reason: str,
    now: datetime,
) -> None:
    """Put other terms in place of what was asked for; none for those that were asked for.

    What a worker found stays, but not its steps: they show the former terms, so it looks again.
    Raises StaleState when the request does not wait any more.
    """
    waiting = AccessRequest.objects.filter(pk=request.pk, state=RequestState.PENDING)
    seen = None if request.preview is None else request.preview | {"steps": []}
    request.terms_duration, request.terms_start = duration, starts_at
    changed = waiting.update(
        **approvals.standing(request).for_lists,
        terms_duration=duration,
        terms_start=starts_at,
        terms_by=actor,
        terms_at=now,
        preview=seen,
        next_look_at=now,
    )
    if changed != 1:
        raise StaleState(_MOVED_ON)
    append(
        kind="request:terms",
        actor=actor.username,
        subject=request.subject,
        sentence=sentence,
        reason=reason,
        data={
            "request": request.code,
            "minutes": int(request.lasts / timedelta(minutes=1)),
            "starts_at": request.begins_at.isoformat() if request.begins_at else None,
            "asked_minutes": int(request.duration / timedelta(minutes=1)),
            "asked_starts_at": request.starts_at.isoformat() if request.starts_at else None,
        },
    )


@transaction.atomic
def say(comment: Comment) -> None:
    """Store a question about a request, or an answer."""
    comment.save(force_insert=True)
    request, author = comment.request, comment.author
    own = author.pk == request.requester_id
    append(
        kind="request:answer" if own else "request:question",
        actor=author.username,
        subject=request.subject,
        sentence=f"{author.label} {'answered' if own else 'asked a question'}.",
        reason=comment.text,
        data={"comment": comment.pk, "request": request.code},
    )


@transaction.atomic
def break_glass(request: AccessRequest, *, group: Group, fingerprint: str, now: datetime) -> Grant:
    """Store a request that nobody decides on, and start its grant: an emergency.

    The row that stands in place of approvals is judged by a trigger, so a forged one gives nothing.
    """
    request.state = RequestState.APPROVED
    request.save(force_insert=True)
    BreakGlass.objects.create(request=request, group=group, fingerprint=fingerprint, taken_at=now)
    actor = request.requester
    append(
        kind="grant:breakglass:started",
        actor=actor.username,
        subject=request.subject,
        sentence=(
            f"{actor.label} broke the glass: took {request.offer.profile.name} on "
            f"{request.offer.pair} without a decision. Two others must review it."
        ),
        reason=request.reason,
        data={
            "offer": request.offer_id,
            "request": request.code,
            "group": group.name,
            "minutes": int(request.duration / timedelta(minutes=1)),
            "iam_user": request.identity.user_name,
        },
    )
    return _start_grant(request, fingerprint=fingerprint, actor=actor.username, now=now)


@transaction.atomic
def review(review: Review, *, now: datetime) -> bool:
    """Store a review of an emergency; the second one by another person closes it."""
    taken = BreakGlass.objects.select_for_update().get(pk=review.taken_id)
    if taken.closed_at is not None:
        raise StaleState("Two others have reviewed this meanwhile.")
    review.save(force_insert=True)
    request, reviewer = taken.request, review.reviewer
    append(
        kind="grant:breakglass:reviewed",
        actor=reviewer.username,
        subject=request.subject,
        sentence=f"{reviewer.label} reviewed it: {review.get_verdict_display().lower()}.",
        reason=review.note,
        data={"verdict": review.verdict, "request": request.code},
    )
    if taken.reviews.count() < REVIEWERS:
        return False
    BreakGlass.objects.filter(pk=taken.pk).update(closed_at=now)
    append(
        kind="grant:breakglass:closed",
        actor=reviewer.username,
        subject=request.subject,
        sentence="Two others have reviewed what was taken in an emergency.",
        data={
            "verdicts": list(taken.reviews.values_list("verdict", flat=True)),
            "request": request.code,
        },
    )
    return True


def _start_grant(request: AccessRequest, *, fingerprint: str, actor: str, now: datetime) -> Grant:
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
    begins = f" from {_utc(start)}" if phase is Phase.SCHEDULED else ""
    append(
        kind=f"grant:phase:{phase}",
        actor=actor,
        subject=grant.subject,
        sentence=f"Access was granted{begins} until {_utc(grant.ends_at)}.",
        data={
            "starts_at": grant.starts_at.isoformat(),
            "ends_at": grant.ends_at.isoformat(),
            "fingerprint": grant.fingerprint,
        },
    )
    return grant


def _extend_grant(decision: Decision) -> Grant:
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
        sentence=f"The access was extended from {_utc(former)} to {_utc(request.extends_until)}.",
        data={
            "ends_at": request.extends_until.isoformat() if request.extends_until else None,
            "fingerprint": decision.fingerprint,
            "request": request.code,
        },
    )
    return Grant.objects.with_parties().get(pk=grant.pk)


def take_back_extension(grant: Grant, *, reason: str, now: datetime) -> None:
    """Set a grant's end back to what AWS enforces: its extension may or can not be given.

    The access itself goes on to that end. What AWS was told of the later one is narrowed by the
    next look, which needs nobody's permission.
    """
    former = (
        AccessRequest.objects.filter(
            extends=grant, state=RequestState.APPROVED, extends_until=grant.extending_from
        )
        .exclude(pk=grant.rests_on.pk)
        .order_by("id")
        .last()
    )
    fingerprint = (former or grant.request).decided_fingerprint
    if not fingerprint:  # A trigger has refused such a grant; it is here for the type.
        raise StaleState("Nothing was decided that the access could go back to.")
    refused = grant.ends_at
    with transaction.atomic():
        _record(
            grant,
            ends_at=grant.extending_from,
            extending_from=None,
            authority=former,
            fingerprint=fingerprint,
            reopened_at=None,
            next_check_at=now,
            attempts=0,
        )
        append(
            kind="grant:extension:refused",
            actor=WORKER,
            subject=grant.subject,
            sentence=(
                f"The extension to {_utc(refused)} was not made; "
                f"the access still ends at {_utc(grant.ends_at)}."
            ),
            reason=reason,
        )


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
            sentence=f"The access ends soon, at {_utc(one.ends_at)}.",
            data={"ends_at": one.ends_at.isoformat(), "grant": one.code},
        )
        for one in rows
    )
    return len(rows)


def begin(grant: Grant, now: datetime) -> bool:
    """Whether a claimed grant needs a look at AWS. One that waits for its start does not, nor one
    that was over before it: nothing of them was ever made."""
    if grant.phase != Phase.SCHEDULED:
        return True
    if grant.is_scheduled_at(now):
        _record(grant, next_check_at=grant.starts_at, leased_until=None)
        return False
    if not grant.should_exist(now):
        note_phase(grant, Phase.ENDED, now)
        return False
    with transaction.atomic():
        _record(grant, phase=Phase.PENDING)
        append(
            kind="grant:phase:pending",
            actor=WORKER,
            subject=grant.subject,
            sentence="The start has come; a worker makes the access in AWS.",
            data={"from": Phase.SCHEDULED},
        )
    return True


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


# --- The red button --------------------------------------------------------------------------


@transaction.atomic
def press(stop: Stop, *, grants: int, requests: int) -> Stop:
    """Store that the red button was pressed, and how much its scope held then."""
    stop.save(force_insert=True)
    append(
        kind="stop:pressed",
        actor=stop.pressed_by,
        subject=stop.subject,
        sentence=f"The red button was pressed: {stop.words} ends now.",
        reason=stop.reason,
        data={"scope": stop.scope, "grants": grants, "requests": requests, "pauses": stop.pauses},
    )
    return stop


def _of_stop(stop: Stop) -> dict[str, object]:
    return {"stop": stop.pk, "scope": stop.scope}


@transaction.atomic
def stop_grants(stop: Stop, *, limit: int, now: datetime) -> list[int]:
    """Revoke the next grants of a stop's scope. Returns their keys; empty when none is free.

    What somebody else holds this moment is left for the next round, so that nobody waits here
    for anybody, and several may do this at once.
    """
    live = Grant.objects.live().filter(stop.within("request__"), revoked_at__isnull=True)
    free = live.select_for_update(of=("self",), skip_locked=True).order_by("next_check_at", "id")
    held = list(free.only("pk", "code")[:limit])
    keys = [one.pk for one in held]
    Grant.objects.filter(pk__in=keys).update(
        revoked_at=now,
        revoked_by=stop.pressed_by,
        revoke_reason=stop.reason,
        stop=stop,
        next_check_at=now,
        leased_until=None,
        attempts=0,
    )
    append_all(
        event(
            kind="grant:revoked",
            actor=stop.pressed_by,
            subject=one.subject,
            sentence="The access was ended with the red button.",
            reason=stop.reason,
            data=_of_stop(stop),
        )
        for one in held
    )
    return keys


@transaction.atomic
def stop_requests(stop: Stop, *, limit: int) -> int:
    """Withdraw the next requests that waited in a stop's scope when it was pressed."""
    waiting = AccessRequest.objects.waiting().filter(stop.within(), asked_at__lte=stop.pressed_at)
    free = waiting.select_for_update(of=("self",), skip_locked=True).order_by("id")
    held = list(free.select_related("extends")[:limit])
    AccessRequest.objects.filter(pk__in=[one.pk for one in held]).update(
        state=RequestState.CANCELLED
    )
    Stop.objects.filter(pk=stop.pk).update(cancelled=F("cancelled") + len(held))
    append_all(
        event(
            kind=f"request:state:{RequestState.CANCELLED}",
            actor=stop.pressed_by,
            subject=one.subject,
            sentence="The request was ended with the red button.",
            reason=stop.reason,
            data=_of_stop(stop) | {"request": one.code},
        )
        for one in held
    )
    return len(held)


def finish_stop(stop: Stop, now: datetime) -> bool:
    """Record that a stop has nothing left to revoke or to withdraw, if that is so.

    A request that is being decided on waits until that is committed, so those that wait are looked
    for first: what was approved of them is live then. Nobody sees an emergency before it is
    committed, but whoever takes it holds the offer.
    """
    waiting = AccessRequest.objects.waiting().filter(stop.within(), asked_at__lte=stop.pressed_at)
    live = Grant.objects.live().filter(stop.within("request__"), revoked_at__isnull=True)
    with transaction.atomic():
        if _is_being_taken() or waiting.exists() or live.exists():
            return False
        if Stop.objects.unfinished().filter(pk=stop.pk).update(finished_at=now) != 1:
            return False
        append(
            kind="stop:finished",
            actor=SWEEPER,
            subject=stop.subject,
            sentence="Everything in the scope of the red button is revoked and withdrawn.",
            data=_of_stop(stop) | {"grants": stop.grants.count()},
        )
    return True


def _is_being_taken() -> bool:
    """Whether somebody holds an offer that can be taken in an emergency, until the present
    transaction ends. Whoever takes one after that sees all that was pressed before."""
    breakable = Offer.objects.filter(break_glass_group__isnull=False).order_by("pk")
    free = breakable.select_for_update(of=("self",), skip_locked=True)
    return len(free.values_list("pk")) < breakable.count()


def lift_pause(stop: Stop, *, actor: str, sentence: str, now: datetime) -> None:
    """Let new access be asked for and approved again. Raises StaleState when it was lifted."""
    with transaction.atomic():
        if Stop.objects.pausing().filter(pk=stop.pk).update(lifted_at=now, lifted_by=actor) != 1:
            raise StaleState("This pause has been lifted before.")
        append(
            kind="stop:lifted",
            actor=actor,
            subject=stop.subject,
            sentence=sentence,
            data=_of_stop(stop),
        )


# --- Claims ----------------------------------------------------------------------------------


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


def note_cut_back(grant: Grant, step: PlanStep) -> None:
    """Tell that a worker took from live access what nobody had approved."""
    append(
        kind="grant:cut_back",
        actor=WORKER,
        subject=grant.subject,
        sentence=f"AWS let through more than was approved. {step.sentence}",
        data={"call": step.call, "documents": list(step.documents)},
    )


def note_phase(
    grant: Grant,
    phase: Phase,
    now: datetime,
    *,
    remark: str = "",
    done: Sequence[PlanStep] = (),
) -> None:
    """Record what AWS was seen to be, and when to look next. `remark` is shown beside the phase,
    and the event tells which steps of the plan were `done` in this run."""
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
        values["extending_from"] = None
    if phase is Phase.ENDED:
        values["ended_at"] = now
    before, extended_from = grant.phase, grant.extending_from
    with transaction.atomic():
        _record(grant, **values)
        if phase is Phase.ACTIVE and extended_from is not None:
            append(
                kind="grant:extension:confirmed",
                actor=WORKER,
                subject=grant.subject,
                sentence=f"AWS ends the access at {_utc(grant.ends_at)} from now on.",
            )
        if before != phase:
            append(
                kind=f"grant:phase:{phase}",
                actor=WORKER,
                subject=grant.subject,
                sentence=_PHASE_SENTENCES[phase],
                reason=remark,
                data={"from": before, "steps": [f"{step.call}: {step.sentence}" for step in done]},
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
    # The scans of both accounts see what changes meanwhile, and ask for another look.
    return grant.ends_at


def look_again(grant_ids: Iterable[int], now: datetime) -> int:
    """Ask a worker to look at live grants with fresh eyes. Returns how many were not due already.

    It decides nothing: what a worker may do follows from the row, as always.
    """
    later = Grant.objects.live().filter(pk__in=list(grant_ids), next_check_at__gt=now)
    return later.update(next_check_at=now)


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
            next_check_at=now + back_off(attempts, _longest_wait(grant, now)),
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


def _longest_wait(grant: Grant, now: datetime) -> timedelta:
    return LONGEST_BACK_OFF if grant.should_exist(now) else LONGEST_WAIT_TO_REMOVE


def back_off(attempts: int, longest: timedelta = LONGEST_BACK_OFF) -> timedelta:
    """Doubling from 2 seconds to the longest, with jitter so that a thousand do not come at once.

    With any number of attempts: a removal is tried for ever.
    """
    seconds = min(2.0 ** min(attempts, 16), longest.total_seconds())
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


def postpone_pair(pair: AccountPair, now: datetime) -> None:
    """Look again at a pair that is being retired, when its last grants have had time to end."""
    AccountPair.objects.filter(pk=pair.pk, retired_at=None).update(
        next_check_at=now + PAIR_ENDING_RETRY
    )


@transaction.atomic
def note_retired(pair: AccountPair, *, now: datetime, remark: str) -> None:
    """Record that nothing of a pair is left in AWS; and of an account, with its last pair."""
    retiring = AccountPair.objects.filter(pk=pair.pk, retiring_at__isnull=False, retired_at=None)
    if retiring.update(retired_at=now, next_check_at=None, last_error="") != 1:
        return
    append(
        kind="pair:retired",
        actor=WORKER,
        subject=pair.subject,
        sentence=f"The pair {pair} is retired: nothing of it is left in AWS.",
        reason=remark,
    )
    for account in (pair.source, pair.target):
        note_account_retired(account, now)


def note_account_retired(account: AwsAccount, now: datetime) -> None:
    """Record that an account that is being retired is in no pair any more, if that is so."""
    pairs = AccountPair.objects.filter(retired_at=None)
    if pairs.filter(Q(source=account) | Q(target=account)).exists():
        return
    retiring = AwsAccount.objects.filter(pk=account.pk, retiring_at__isnull=False, retired_at=None)
    with transaction.atomic():
        if retiring.update(retired_at=now) == 1:
            append(
                kind="account:retired",
                actor=WORKER,
                subject=account.subject,
                sentence=f"{account} is retired: Sallyport has nothing in it any more.",
            )


def note_preview(request: AccessRequest, preview: dict[str, object], began: datetime) -> None:
    """Store what a worker found when it tried the plan. It changes no state, so no event.

    A look that began before the one that is stored tells nothing new, nor does one that began
    before the terms were changed. What somebody asked for after the look began asks for another
    one, so that stays asked for.
    """
    newest = Q(previewed_at__isnull=True) | Q(previewed_at__lte=began)
    as_now = Q(terms_at__isnull=True) | Q(terms_at__lte=began)
    row = AccessRequest.objects.filter(pk=request.pk)
    row.filter(newest, as_now).update(preview=preview, previewed_at=began)
    row.filter(next_look_at__lte=began).update(next_look_at=None)


def note_failed_look(request: AccessRequest, problem: str, began: datetime) -> None:
    """Record that AWS gave no answer: what an earlier look found stands, and it is tried again.

    The back-off grows to a few minutes and ends with the request, which lapses after a day. A look
    that somebody else finished meanwhile stands.
    """
    failed = request.looks_failed + 1
    found = {"steps": [], "findings": []} | (request.preview or {})
    AccessRequest.objects.filter(look_due(began), pk=request.pk).update(
        preview=found | {"problem": problem, "failed": failed},
        next_look_at=began + back_off(failed),
    )


def ask_for_look(request: AccessRequest, now: datetime) -> bool:
    """Say that a worker is to try the plan of a request now. False when that was said before."""
    waiting = AccessRequest.objects.filter(pk=request.pk, state=RequestState.PENDING)
    if waiting.exclude(look_due(now)).update(next_look_at=now) != 1:
        return False
    request.next_look_at = now
    return True
