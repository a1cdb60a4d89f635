"""Letting the rule of an offer approve a request, once a worker has looked at both accounts.

The rule itself is in `core.autoapproval`. No person decides here, so whatever is not as expected
leaves the request to people.
"""

from datetime import datetime

from django.db import transaction

from audit.clock import database_now
from provisioning import approvals, authz, lifecycle, rules
from provisioning.core import plan
from provisioning.core.autoapproval import objection_to_look
from provisioning.core.preflight import Level
from provisioning.core.states import RequestState
from provisioning.engine import preview
from provisioning.models import AccessRequest, Grant
from provisioning.specs import spec_for_request


def look_and_decide(request_id: int) -> Grant | None:
    """Try the plan of a request; then its offer's rule decides, if it has one that holds.

    Returns the grant that followed. Without one, people decide.
    """
    preview.preview(request_id)
    return decide(request_id)


def decide(request_id: int) -> Grant | None:
    """Approve a request by the rule of its offer, where every condition holds."""
    waiting = AccessRequest.objects.waiting().filter(pk=request_id, offer__auto_approve=True)
    if not waiting.exists():
        return None
    try:
        with transaction.atomic():
            locked = waiting.select_for_update(of=("self",)).with_parties().first()
            return _decide(locked, database_now()) if locked else None
    except lifecycle.StaleState:
        # Somebody decided or withdrew in this very moment: that stands.
        return None


def _decide(request: AccessRequest, now: datetime) -> Grant | None:
    mark = plan.fingerprint(spec_for_request(request))
    # Somebody who put other terms in its place is at it already.
    if request.decisions.exists() or request.terms_at or request.lapses_at <= now:
        return None
    if _unclean(request, mark, now):
        return None
    if rules.objections(request, now) or preview.obstacles(request):
        return None
    stages = approvals.stages(request)
    if not authz.can_request(request.requester, request.offer, stages=stages).allowed:
        return None
    if not authz.not_stopped(request.requester, request.offer.pair).allowed:
        return None
    return lifecycle.approve_by_rule(request, fingerprint=mark, now=now)


def _unclean(request: AccessRequest, mark: str, now: datetime) -> str | None:
    """Why the newest look is not good enough; None when it is."""
    seen = request.preview or {}
    findings = seen.get("findings", [])
    return objection_to_look(
        looked=request.state == RequestState.PENDING and not request.look_is_due(now),
        is_of_this_plan=seen.get("fingerprint") == mark,
        is_clean=bool(findings)
        and not seen.get("problem")
        and all(one["level"] == Level.OK for one in findings),
    )
