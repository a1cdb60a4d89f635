"""Use cases of those who ask: for one offer or several, for more time, and taking it back.

Each is one transaction, asks `authz` first, and nudges the workers once it is committed.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from accounts.models import SHORTEST_GRANT, Offer, User
from accounts.stages import needed
from audit.clock import database_now
from provisioning import authz, lifecycle, rules, tasks
from provisioning.core.states import RequestState
from provisioning.engine import preview
from provisioning.models import (
    ALREADY_ASKED,
    EXTENSION_ASKED,
    FURTHEST_START,
    ONE_EXTENSION,
    ONE_PENDING,
    AccessRequest,
    Grant,
)
from provisioning.services.common import (
    Refused,
    nudge_on_commit,
    red_buttons_held,
    refusals_recorded,
    require,
    rules_may_move,
)

CANNOT_BE_SET_UP = "cannot_be_set_up"


def request_access(
    *,
    requester: User,
    offer: Offer,
    duration: timedelta,
    reason: str,
    starts_at: datetime | None = None,
    ticket: str = "",
) -> AccessRequest:
    """Ask for an offer, from the decision on or from a later start. Raises Refused,
    ValidationError, or StaleState.

    A request waits as long as its offer says, or until the start that it asks for if that is later.
    """
    wish = Wish(offer, duration)
    (request,) = request_together(
        requester=requester, wishes=[wish], reason=reason, starts_at=starts_at, ticket=ticket
    )
    return request


@dataclass(frozen=True)
class Wish:
    """One of the offers that are asked for in one go."""

    offer: Offer
    duration: timedelta


def request_together(
    *,
    requester: User,
    wishes: Sequence[Wish],
    reason: str,
    starts_at: datetime | None = None,
    ticket: str = "",
) -> list[AccessRequest]:
    """Ask for several offers for one reason: a request for each, all of them or none.

    Each is decided by itself. Raises Refused, ValidationError, or StaleState; of several offers
    every message of the first two says which one it is about.
    """
    now = database_now()
    for wish in wishes:
        attempt = refusals_recorded(
            "request:ask", requester, wish.offer.subject, "asking for access"
        )
        with _naming(wish, wishes), attempt:
            require(authz.can_request(requester, wish.offer))
    _check_start(starts_at, now)
    batch = uuid4() if len(wishes) > 1 else None
    requests = []
    recorded = refusals_recorded(
        "request:ask", requester, wishes[0].offer.subject, "asking for access"
    )
    with recorded, red_buttons_held(), rules_may_move(), transaction.atomic():
        for wish in wishes:
            with _naming(wish, wishes):
                request = _request(requester, wish, now, reason=reason, ticket=ticket)
                request.starts_at, request.batch = starts_at, batch
                request.lapses_at = max(now + wish.offer.request_lifetime, starts_at or now)
                requests.append(_open(request, ONE_PENDING, ALREADY_ASKED))
    return requests


@contextmanager
def _naming(wish: Wish, wishes: Sequence[Wish]) -> Iterator[None]:
    """Say of a refusal which of several offers it is about."""
    try:
        yield
    except Refused as refused:
        if len(wishes) == 1:
            raise
        reasons = tuple(f"{wish.offer}: {reason}" for reason in refused.reasons)
        raise Refused(authz.Answer(reasons)) from refused
    except ValidationError as error:
        if len(wishes) == 1:
            raise
        words = [f"{wish.offer}: {one}" for one in error.messages]
        raise ValidationError([ValidationError(one, code="one_of_several") for one in words]) from (
            error
        )


def _request(
    requester: User, wish: Wish, now: datetime, *, reason: str, ticket: str
) -> AccessRequest:
    """A request of one offer, checked as far as the offer itself says."""
    offer = wish.offer
    offer.check_duration(wish.duration)
    try:
        offer.check_ticket(ticket)
    except ValidationError as error:
        raise ValidationError({"ticket": error}) from error
    identity = authz.identity_for(requester, offer)
    if identity is None:  # can_request has refused this; it is here for the type.
        raise Refused(authz.Answer(("No IAM user is linked to you.",)))
    return AccessRequest(
        requester=requester,
        identity=identity,
        offer=offer,
        profile_version=offer.profile.current,
        duration=wish.duration,
        reason=reason,
        ticket=ticket,
        **_pinned(offer),
    )


def _pinned(offer: Offer) -> dict[str, Any]:
    """What a new request must meet at least, whatever becomes of its offer."""
    stages = offer.stages_for_new()
    return {"approvals_needed": needed(stages), "quorums": [one.quorum for one in stages]}


def _check_start(starts_at: datetime | None, now: datetime) -> None:
    """Raise ValidationError unless a start may be asked for."""
    if starts_at is None or now < starts_at <= now + FURTHEST_START:
        return
    message = (
        "This moment is past. Leave it empty to start with the approval."
        if starts_at <= now
        else f"Choose a start within the next {FURTHEST_START.days} days."
    )
    raise ValidationError({"starts_at": ValidationError(message, code="start_out_of_bounds")})


def _open(request: AccessRequest, constraint: str, words: str) -> AccessRequest:
    """Check and store a new request; the named constraint is what a twin of it would break."""
    request.trace = rules.trace(request, database_now())
    request.full_clean()
    if obstacles := preview.static_obstacles(request):
        raise ValidationError([ValidationError(one, code=CANNOT_BE_SET_UP) for one in obstacles])
    try:
        with transaction.atomic():
            lifecycle.open_request(request, actor=request.requester.username)
            nudge_on_commit(tasks.preview_request, request.pk)
    except IntegrityError as error:
        if constraint not in str(error):
            raise
        # Sent twice at the same moment: the constraint says what full_clean would have said.
        raise ValidationError(words, code=constraint) from error
    return request


def extend_access(*, person: User, grant: Grant, duration: timedelta, reason: str) -> AccessRequest:
    """Ask for more time on one's own live access. Raises Refused, ValidationError, or StaleState.

    The request lapses at the present end: nothing is left to extend then.
    """
    now = database_now()
    with refusals_recorded("grant:extend", person, grant.subject, "extending the access"):
        require(authz.can_extend(person, grant, now))
    _check_extension(grant, duration, now)
    request = AccessRequest(
        requester=person,
        identity=grant.identity,
        offer=grant.request.offer,
        profile_version=grant.profile_version,
        duration=duration,
        extends=grant,
        extends_until=grant.ends_at + duration,
        reason=reason,
        ticket=grant.request.ticket,
        lapses_at=grant.ends_at,
        **_pinned(grant.request.offer),
    )
    recorded = refusals_recorded("grant:extend", person, grant.subject, "extending the access")
    with recorded, red_buttons_held(), rules_may_move():
        return _open(request, ONE_EXTENSION, EXTENSION_ASKED)


def _check_extension(grant: Grant, duration: timedelta, now: datetime) -> None:
    """Raise ValidationError unless so much time may be added."""
    longest = authz.longest_extension(grant, now)
    if not SHORTEST_GRANT <= duration <= longest:
        message = (
            f"Choose between 5 and {longest // timedelta(minutes=1)} minutes: the access may end "
            "at most the offer's longest duration from now, and 7 days after its start."
        )
        raise ValidationError({"minutes": ValidationError(message, code="duration_out_of_bounds")})


def cancel(*, person: User, request: AccessRequest) -> None:
    """Withdraw one's own pending request. Raises Refused or StaleState."""
    with refusals_recorded("request:cancel", person, request.subject, "withdrawing"):
        require(authz.can_cancel(person, request))
    lifecycle.move_request(
        request,
        RequestState.CANCELLED,
        actor=person.username,
        sentence=f"{person.label} withdrew the request.",
    )
