"""Decisions, of people and of rules, and the stage that lists go by."""

from datetime import datetime
from typing import Any

from django.db import transaction

from audit.models import append
from provisioning import approvals, rules
from provisioning.approvals import Standing
from provisioning.core.states import RequestState
from provisioning.lifecycle.common import MOVED_ON, SWEEPER, StaleState
from provisioning.lifecycle.grants import extend_grant, start_grant
from provisioning.lifecycle.requests import move_in_transaction, move_request
from provisioning.models import AccessRequest, Decision, Grant, RuleApproval

RULE = "system:rule"


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
    move_in_transaction(
        request,
        state,
        actor=person.username,
        sentence=f"{person.label} {_did(decision)} the request{_which(decision, standing)}.",
        reason=decision.reason,
    )
    if state is not RequestState.APPROVED:
        return None
    if request.extends:
        return extend_grant(decision)
    return start_grant(
        request,
        fingerprint=decision.fingerprint,
        actor=person.username,
        now=decision.decided_at,
    )


def _did(decision: Decision) -> str:
    last_word = decision.again and decision.verdict == Decision.Verdict.APPROVED
    return "approved once more" if last_word else decision.verdict


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
    return start_grant(request, fingerprint=fingerprint, actor=RULE, now=now)


def _hold_request(request: AccessRequest) -> None:
    """Lock a request that waits, until the transaction ends. Raises StaleState."""
    held = AccessRequest.objects.filter(pk=request.pk, state=RequestState.PENDING)
    if held.update(state=RequestState.PENDING) != 1:
        raise StaleState(MOVED_ON)


def _which(decision: Decision, standing: Standing) -> str:
    """` (1 of 2 approvals)`, where more than one is needed."""
    tally = approvals.tally_of(standing, decision.fingerprint)
    plural = decision.verdict == Decision.Verdict.APPROVED and tally.needed > 1
    return f" ({tally.words})" if plural else ""


def _note_approval(decision: Decision, standing: Standing) -> None:
    """More approvals are needed, of the stage that is asked next."""
    waiting = AccessRequest.objects.filter(pk=decision.request_id, state=RequestState.PENDING)
    if waiting.update(**standing.for_lists) != 1:
        raise StaleState(MOVED_ON)
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
