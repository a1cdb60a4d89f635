"""Use cases of an emergency: take access at once, and review afterwards what was taken.

There is no approval, and none is pretended: the grant rests on a `BreakGlass` row, which the
database lets be only where the offer allows it to this person for so long (docs/adr/0029).
"""

from datetime import timedelta

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.durations import MINUTE
from accounts.models import SHORTEST_GRANT, Offer, User
from accounts.stages import needed
from audit.clock import database_now
from provisioning import authz, lifecycle, specs, tasks
from provisioning.core import plan
from provisioning.engine import preview
from provisioning.models import AccessRequest, BreakGlass, Grant, Review
from provisioning.services.common import (
    Refused,
    nudge_on_commit,
    red_buttons_held,
    refusals_recorded,
    require,
    rules_may_move,
)


def unsaved(person: User, offer: Offer, duration: timedelta, reason: str = "") -> AccessRequest:
    """The request as it would be taken, for a look at its plan. Raises Refused."""
    identity = authz.identity_for(person, offer)
    if identity is None:
        raise Refused(authz.Answer(("No IAM user is linked to you.",)))
    stages = offer.stages_for_new()
    return AccessRequest(
        requester=person,
        identity=identity,
        offer=offer,
        profile_version=offer.profile.current,
        duration=duration,
        reason=reason,
        lapses_at=database_now() + duration,
        approvals_needed=needed(stages),
        quorums=[one.quorum for one in stages],
    )


def take(*, person: User, offer: Offer, duration: timedelta, reason: str) -> Grant:
    """Take access at once. Raises Refused, ValidationError, or StaleState.

    Pre-flight is not waited for: a worker tells what AWS does not take, as with any grant. What is
    known without asking AWS is told at once.
    """
    recorded = refusals_recorded("grant:breakglass", person, offer.subject, "breaking the glass")
    with recorded, red_buttons_held(), rules_may_move(), transaction.atomic():
        # The offer stays as it is until this is done: a change of it waits, or came before.
        offer = Offer.objects.select_for_update(of=("self",)).with_accounts().get(pk=offer.pk)
        now = database_now()
        require(authz.can_break_glass(person, offer, now))
        check_duration(offer, duration)
        request = unsaved(person, offer, duration, reason)
        request.clean_fields()
        if obstacles := preview.static_obstacles(request):
            raise ValidationError(obstacles)
        group = offer.break_glass_group
        if group is None:  # can_break_glass has refused this; it is here for the type.
            raise Refused(authz.Answer(("This offer does not let you.",)))
        spec = specs.spec_for_request(request)
        grant = lifecycle.break_glass(
            request, group=group, fingerprint=plan.fingerprint(spec), now=now
        )
        nudge_on_commit(tasks.converge_grant, grant.pk)
    return grant


def check_duration(offer: Offer, duration: timedelta) -> None:
    """Raise ValidationError unless so much may be taken in an emergency."""
    longest = offer.break_glass_longest or timedelta(0)
    if not SHORTEST_GRANT <= duration <= longest:
        message = f"Choose between 5 and {longest // MINUTE} minutes: more needs an approval."
        raise ValidationError({"minutes": ValidationError(message, code="duration_out_of_bounds")})


def review(*, person: User, request: AccessRequest, verdict: Review.Verdict, note: str) -> bool:
    """Say whether it was right to take it. True when that was the last review that was missing.

    Raises Refused or StaleState.
    """
    recorded = refusals_recorded(
        "grant:breakglass:review", person, request.subject, "reviewing an emergency"
    )
    with recorded, rules_may_move(), transaction.atomic():
        require(authz.can_review(person, request, database_now()))
        taken = BreakGlass.objects.get(request=request)
        done = Review(taken=taken, reviewer=person, verdict=verdict, note=note)
        return lifecycle.review(done, now=database_now())
