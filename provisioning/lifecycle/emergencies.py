"""What is taken in an emergency, and its reviews."""

from datetime import datetime, timedelta

from django.contrib.auth.models import Group
from django.db import transaction

from audit.models import append
from provisioning.core.states import RequestState
from provisioning.lifecycle.common import StaleState
from provisioning.lifecycle.grants import start_grant
from provisioning.models import REVIEWERS, AccessRequest, BreakGlass, Grant, Review


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
    return start_grant(request, fingerprint=fingerprint, actor=actor.username, now=now)


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
