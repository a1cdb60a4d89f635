"""Use case of approvers: a shorter time, or a later start, in place of what was asked for.

The terms are part of the plan. So they are changed first, shown as a plan with a fingerprint of its
own, and decided on then; approvals of the former plan count no more (docs/adr/0028).
"""

from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.durations import MINUTE, in_words
from accounts.models import SHORTEST_GRANT, User
from audit.clock import database_now
from provisioning import authz, lifecycle, tasks
from provisioning.models import FURTHEST_START, AccessRequest
from provisioning.services.common import nudge_on_commit, refusals_recorded, require


def change_terms(
    *,
    person: User,
    request: AccessRequest,
    duration: timedelta,
    starts_at: datetime | None,
    reason: str = "",
) -> None:
    """Put terms in place of what was asked for; those that were asked for put it back.

    Raises Refused, ValidationError at the field, or StaleState.
    """
    recorded = refusals_recorded("request:terms", person, request.subject, "changing the terms")
    with recorded, transaction.atomic():
        locked = AccessRequest.objects.select_for_update(of=("self",)).with_parties()
        request, now = locked.get(pk=request.pk), database_now()
        require(authz.can_change_terms(person, request, now))
        check(request, duration, starts_at, now)
        shorter = duration if duration != request.duration else None
        later = starts_at if starts_at != request.starts_at else None
        lifecycle.change_terms(
            request,
            actor=person,
            duration=shorter,
            starts_at=later,
            sentence=f"{person.label} {_did(shorter, later)}.",
            reason=reason,
            now=now,
        )
        nudge_on_commit(tasks.preview_request, request.pk)


def check(
    request: AccessRequest, duration: timedelta, starts_at: datetime | None, now: datetime
) -> None:
    """Raise ValidationError unless these terms give no more than was asked for, and are new."""
    errors: dict[str, ValidationError] = {}
    if not SHORTEST_GRANT <= duration <= request.duration:
        longest = request.duration // MINUTE
        message = f"Choose between 5 and {longest} minutes: as long as was asked for, or shorter."
        errors["minutes"] = ValidationError(message, code="terms_out_of_bounds")
    if starts_at != request.starts_at and (problem := _about_start(request, starts_at, now)):
        errors["starts_at"] = ValidationError(problem, code="terms_out_of_bounds")
    if errors:
        raise ValidationError(dict(errors))
    if (duration, starts_at) == (request.lasts, request.begins_at):
        raise ValidationError("These are the terms already.", code="terms_unchanged")


def _about_start(request: AccessRequest, starts_at: datetime | None, now: datetime) -> str | None:
    """What speaks against another start than the one that was asked for."""
    earliest = request.starts_at or now
    if starts_at is None or starts_at < earliest:
        return "Choose a later start than was asked for: sooner is not yours to give."
    if starts_at > now + FURTHEST_START:
        return f"Choose a start within the next {FURTHEST_START.days} days."
    return None


def _did(shorter: timedelta | None, later: datetime | None) -> str:
    if shorter is None and later is None:
        return "put back the terms that were asked for"
    parts = [
        in_words(shorter // MINUTE) if shorter else "",
        f"a start at {later:%Y-%m-%d %H:%M} UTC" if later else "",
    ]
    return f"changed the terms to {' and '.join(part for part in parts if part)}"
