"""A request from the question to its end state, its terms, its questions and its looks."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from accounts.models import User
from audit.models import append
from provisioning import approvals
from provisioning.core.states import RequestState
from provisioning.lifecycle.common import MOVED_ON, StaleState, back_off, utc
from provisioning.models import AccessRequest, Comment, look_due


@transaction.atomic
def open_request(request: AccessRequest, *, actor: str) -> AccessRequest:
    """Store a new request."""
    request.save(force_insert=True)
    offer = request.offer
    wish = f"for {offer.profile.name} on {offer.pair}"
    if request.extends is not None:
        wish = f"to extend the access until {utc(request.extends_until)}"
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


@transaction.atomic
def move_request(
    request: AccessRequest, to: RequestState, *, actor: str, sentence: str, reason: str = ""
) -> None:
    """Move a pending request to its end state. Raises StaleState."""
    move_in_transaction(request, to, actor=actor, sentence=sentence, reason=reason)


def move_in_transaction(
    request: AccessRequest, to: RequestState, *, actor: str, sentence: str, reason: str
) -> None:
    """The same where a transaction is open that ends with a StaleState: without a savepoint."""
    moved = AccessRequest.objects.filter(pk=request.pk, state=RequestState.PENDING)
    if moved.update(state=to) != 1:
        raise StaleState(MOVED_ON)
    request.state = to
    append(
        kind=f"request:state:{to}",
        actor=actor,
        subject=request.subject,
        sentence=sentence,
        reason=reason,
        data={"request": request.code},
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
        raise StaleState(MOVED_ON)
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
