"""Trying the plan of a request before an approver is bothered: reads only."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from audit.clock import database_now
from provisioning import lifecycle
from provisioning.aws import iam
from provisioning.aws.errors import AwsError
from provisioning.core import plan, states
from provisioning.core.plan import ForeignObject, Found, GrantSpec
from provisioning.core.steps import PlanStep, Side
from provisioning.entry import Doors
from provisioning.failures import in_words
from provisioning.models import AccessRequest
from provisioning.specs import spec_for_grant, spec_for_request


def preview(request_id: int) -> None:
    """Try the plan of a request without changing anything, and store what was found."""
    request = AccessRequest.objects.with_parties().filter(pk=request_id).first()
    if request is None or request.state != states.RequestState.PENDING:
        return
    now = database_now()
    spec = spec_for_request(request)
    try:
        pair = request.offer.pair
        with Doors(pair, spec) as doors:
            doors.open(Side.SOURCE)
            clients = iam.Clients(
                target=doors.client(Side.TARGET),
                source=doors.client(Side.SOURCE),
                beside=doors.beside,
            )
            found = iam.observe(clients, plan.desired(spec, now))
        result = _preview_result(spec, found, now)
    except (AwsError, ForeignObject) as error:
        result = {"steps": [], "problem": in_words(error)}
    lifecycle.note_preview(request, result, now)


def _preview_result(spec: GrantSpec, found: Found, now: datetime) -> dict[str, object]:
    problem = ""
    if found.user_id != spec.user_id:
        problem = f"The IAM user {spec.user_name} is gone, or was deleted and made again."
    return {"steps": describe(plan.plan(plan.desired(spec, now), found)), "problem": problem}


def unseen_steps(request: AccessRequest, now: datetime) -> list[dict[str, Any]]:
    """What a page shows until a worker has looked: the steps as if nothing existed; for an
    extension, as if the access that it extends were in AWS as approved."""
    found = plan.NOTHING
    if request.extends is not None:
        present = plan.desired(spec_for_grant(request.extends), request.asked_at)
        found = plan.made(present, request.extends.iam_user_id)
    return describe(plan.plan(plan.desired(spec_for_request(request), now), found))


def describe(steps: Sequence[PlanStep]) -> list[dict[str, Any]]:
    """Steps as data for pages, `manage.py plan --json` and events."""
    return [
        {
            "side": step.side.value,
            "call": step.call,
            "sentence": step.sentence,
            "gives": step.gives,
            "documents": list(step.documents),
        }
        for step in steps
    ]
