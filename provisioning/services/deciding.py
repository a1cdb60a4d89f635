"""Use cases of approvers: approve or reject, and look at both accounts again before that."""

from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction

from accounts.models import User
from audit.clock import database_now
from audit.models import append
from provisioning import approvals, authz, lifecycle, rules, specs, tasks
from provisioning.approvals import Standing
from provisioning.core import plan
from provisioning.engine import preview
from provisioning.models import AccessRequest, Decision, Grant, Stop
from provisioning.services.common import (
    Refused,
    nudge_on_commit,
    red_buttons_held,
    refusals_recorded,
    require,
    rules_may_move,
)

LOOK_HOLDS = timedelta(minutes=5)
"""For how long a look is good enough for an approver who opens the page."""


class CannotBeSetUp(Refused):
    """AWS would refuse what is asked for; the reasons say who can do what about it."""


class PlanMoved(Exception):
    """What was approved is no longer what the page showed."""


def decide(
    *,
    approver: User,
    request: AccessRequest,
    verdict: Decision.Verdict,
    fingerprint: str,
    reason: str = "",
) -> Grant | None:
    """Approve or reject. `fingerprint` is that of the plan the approver was shown.

    Raises Refused, CannotBeSetUp for an approval that AWS would not follow, PlanMoved when the plan
    has changed since, StaleState when somebody else was quicker.
    """
    recorded = refusals_recorded("request:decide", approver, request.subject, "deciding")
    with recorded, red_buttons_held(), rules_may_move(), transaction.atomic():
        if request.extends_id is not None:
            # A revocation locks the grant first and its extensions second, and so does this.
            Grant.objects.select_for_update(of=("self",)).get(pk=request.extends_id)
        locked = AccessRequest.objects.select_for_update(of=("self",)).for_decision()
        request = locked.get(pk=request.pk)
        now, standing = database_now(), approvals.standing(request)
        require(authz.can_decide(approver, request, now, standing=standing))
        spec = specs.spec_for_request(request)
        if verdict == Decision.Verdict.APPROVED:
            stops = authz.stops_in_force()
            require(_still_may_ask(request, standing, stops))
            require(authz.not_stopped(request.requester, request.offer.pair, stops=stops))
            if plan.fingerprint(spec) != fingerprint:
                raise PlanMoved("The plan has changed since you opened this page. Look again.")
            if obstacles := preview.obstacles(request, spec):
                raise CannotBeSetUp(authz.Answer(tuple(obstacles)))
        name = standing.open_stage.name if standing.open_stage else ""
        said = f"{approver.label} {verdict.label.lower()} in the stage “{name}”."
        grant = lifecycle.decide(
            Decision(
                request=request,
                approver=approver,
                verdict=verdict,
                reason=reason,
                fingerprint=plan.fingerprint(spec),
                decided_at=now,
                stage=name,
                again=standing.has_approved(approver),
                trace=rules.trace(request, now, stages=standing.stages, said=said),
            ),
            standing,
        )
        if grant is not None:
            nudge_on_commit(tasks.converge_grant, grant.pk)
    return grant


def _still_may_ask(
    request: AccessRequest, standing: Standing, stops: Sequence[Stop]
) -> authz.Answer:
    """Whether the requester could ask for the same today, in words for the approver."""
    if request.extends is not None:
        answer = authz.may_still_extend(request.requester, request.extends)
    else:
        answer = authz.can_request(
            request.requester,
            request.offer,
            stages=standing.stages,
            stops=[one for one in stops if one.is_pausing],
        )
    name = request.requester.label
    return authz.Answer(tuple(f"{name} is told: {reason}" for reason in answer.reasons))


def look_again(*, person: User, request: AccessRequest) -> bool:
    """Have a worker try the plan again. False when a look is wanted or under way already.

    Raises Refused.
    """
    with refusals_recorded("request:look", person, request.subject, "looking again"):
        require(authz.can_look_again(person, request))
    with transaction.atomic():
        asked = lifecycle.ask_for_look(request, database_now())
        if asked:
            append(
                kind="request:look:asked",
                actor=person.username,
                subject=request.subject,
                sentence=f"{person.label} asked for another look at both accounts.",
            )
        # Also when it was asked for before: that nudge may be lost.
        nudge_on_commit(tasks.preview_request, request.pk)
    return asked


def keep_fresh(*, approver: User, request: AccessRequest) -> None:
    """Have an old look repeated when an approver opens the page. It changes no state: no event."""
    now = database_now()
    fresh = request.previewed_at is not None and request.previewed_at > now - LOOK_HOLDS
    if fresh or not authz.can_decide(approver, request, now):
        return
    with transaction.atomic():
        if lifecycle.ask_for_look(request, now):
            nudge_on_commit(tasks.preview_request, request.pk)
