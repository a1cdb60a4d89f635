"""observe -> plan -> apply, for one grant.

Provision, revoke, expire and drift are this one call with another wish; the preview for an
approver is the same without the last part. A message only says which grant: everything else is
read here, so a lost, doubled, late or forged message does no harm.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import structlog

from accounts.models import Offer
from audit.clock import database_now
from provisioning import approvals, lifecycle
from provisioning.aws import iam
from provisioning.aws.errors import AwsError, Kind
from provisioning.aws.sessions import AccountSession
from provisioning.core import naming, plan, states
from provisioning.core.plan import ForeignObject, GrantSpec, Wanted
from provisioning.core.steps import DeleteRole, PlanStep, PutRolePolicy, RemoveUserFromGroup
from provisioning.entry import enter_source, enter_target
from provisioning.failures import in_words, not_converging
from provisioning.models import ATTENTION_AFTER, Grant
from provisioning.specs import others_need_membership, spec_for_grant, spec_for_request

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

log = structlog.get_logger(__name__)

PASSES: Final = 4
"""How often one run observes again: create, answer lost, adopt, verify."""
NOT_FOUND_PROVES_NOTHING: Final = timedelta(minutes=5)
"""After making something, IAM may deny for a while that it exists [AWS-FACTS 7.6]."""


CRASHED: Final = "An error inside Sallyport, which its operators find in the worker's log."


class PlanChanged(Exception):
    """What would be made is no longer what the approver saw."""


class RightsLost(Exception):
    """Requester or approver may no longer do what this grant rests on."""


def converge(grant_id: int) -> None:
    """Make AWS match one grant, and record what was seen. Never raises for what AWS answers."""
    grant = lifecycle.claim(grant_id, database_now())
    if grant is None:
        return
    with structlog.contextvars.bound_contextvars(grant=grant.code):
        try:
            _run(grant)
        except lifecycle.StaleState:
            # Revoked meanwhile, or taken over after the lease ran out: the row says what is next.
            log.info("grant_superseded")


def _run(grant: Grant) -> None:
    try:
        _refuse_changed(grant)
        _settle(grant)
    except (PlanChanged, RightsLost) as error:
        _give_up(grant, str(error))
    except (AwsError, ForeignObject) as error:
        _fail(grant, error)
    except lifecycle.StaleState:
        raise
    except Exception:
        # A bug or a broken row: a person must see it, and it is tried again like any failure.
        log.exception("grant_crashed")
        lifecycle.note_failure(grant, CRASHED, database_now())


def _refuse_changed(grant: Grant) -> None:
    """Before access is first given: is this still what was decided, by people who still may?"""
    if grant.settled_at is not None or not grant.should_exist(database_now()):
        return
    if plan.fingerprint(spec_for_request(grant.request)) != grant.fingerprint:
        raise PlanChanged(
            "The account, the pair or the IAM user was changed after the decision, so the plan is "
            "no longer the one that was approved. Nothing was made; please ask again."
        )
    if not grant.request.requester.is_active:
        raise RightsLost("The requester or the approver has been switched off since the decision.")
    if lost := approvals.lost_since(grant):
        raise RightsLost(lost)
    if not Offer.objects.naming(grant.request.requester).filter(pk=grant.request.offer_id).exists():
        raise RightsLost("The offer no longer names the requester as one who may ask.")


def _settle(grant: Grant) -> None:
    """Observe, plan and apply until nothing is left that may be done, then record the phase."""
    spec = spec_for_grant(grant)
    clients, unreachable = _open(grant, spec)
    deleted = False
    for _ in range(PASSES):
        now = database_now()
        spec = replace(spec, keep_membership=others_need_membership(grant))
        wanted = plan.desired(spec, now)
        found = iam.observe(clients, wanted)
        if wanted.role is not None and found.user_id != spec.user_id:
            _close_orphaned(grant, now)
            return
        steps = plan.plan(wanted, found)
        todo = _allowed(grant, steps)
        if not todo and unreachable:
            raise unreachable
        if not todo:
            _record(grant, wanted, steps, deleted=deleted)
            return
        deleted = _apply(grant, clients, todo) or deleted
    raise not_converging()


def _open(grant: Grant, spec: GrantSpec) -> tuple[iam.Clients, AwsError | None]:
    """Sessions in both accounts; for a removal also in only one of them, and why that is.

    Either account may have shut us out. That must not keep the way through the other one open.
    """
    target, no_target = _try_open(grant, lambda: enter_target(grant.request.offer.pair, spec))
    if target is not None:
        _lock_out(grant, spec, target)
    source, no_source = _try_open(grant, lambda: enter_source(grant.request.offer.pair, spec))
    return iam.Clients(source=source, target=target), no_target or no_source


def _try_open(
    grant: Grant, enter: Callable[[], AccountSession]
) -> tuple["IAMClient | None", AwsError | None]:
    try:
        return enter().iam(), None
    except AwsError as error:
        if grant.should_exist(database_now()):
            raise
        return None, error


def _lock_out(grant: Grant, spec: GrantSpec, target: "IAMClient") -> None:
    """The first call after a revocation: the person is out before anything else is looked at.

    Only for a role that was seen to be ours; any other waits for the observation. So does a
    refusal: IAM answers AccessDenied for a role that is gone, because it no longer knows its path.
    """
    if not grant.revoked_at or not grant.settled_at or grant.locked_out_at:
        return
    try:
        iam.apply(target, plan.lock_out(spec.role_name))
    except AwsError as error:
        if error.kind is Kind.TRANSIENT:
            raise
        return
    lifecycle.note_lock_out(grant, database_now())


def _allowed(grant: Grant, steps: Sequence[PlanStep]) -> list[PlanStep]:
    """All steps while a person's word stands behind them, else those that take away (I12)."""
    return list(steps if grant.may_be_given else plan.without_a_person(steps))


def _apply(grant: Grant, clients: iam.Clients, steps: Sequence[PlanStep]) -> bool:
    """Do the steps in order. Returns whether the role was deleted."""
    for step in steps:
        if not lifecycle.renew(grant, database_now()):
            raise lifecycle.StaleState("Revoked meanwhile, or another worker took over.")
        if step.gives:
            lifecycle.note_intent(grant, database_now())
        if isinstance(step, RemoveUserFromGroup) and others_need_membership(grant):
            # Another access of this user was approved since this run began.
            continue
        try:
            iam.apply(clients.on(step.side), step)
        except AwsError as error:
            if error.kind is not Kind.EXISTS:
                raise
            # An answer was lost, or somebody took the name: look again before going on.
            return False
        log.info("step_done", call=step.call)
        if isinstance(step, PutRolePolicy) and step.policy == naming.REVOKED_POLICY:
            lifecycle.note_lock_out(grant, database_now())
    return any(isinstance(step, DeleteRole) for step in steps)


def _record(grant: Grant, wanted: Wanted, steps: Sequence[PlanStep], *, deleted: bool) -> None:
    """Nothing is left to do that may be done without a person: say what that means."""
    now = database_now()
    exists = wanted.role is not None
    phase = states.phase(exists=exists, as_wanted=not steps)
    if phase is states.Phase.ENDED and not deleted and _may_be_unseen(grant, now):
        phase = states.Phase.ENDING
    remark = "" if not steps else _narrowed(steps)
    lifecycle.note_phase(grant, phase, now, remark=remark)


def _may_be_unseen(grant: Grant, now: datetime) -> bool:
    """Whether what was made so recently may exist although a read does not find it."""
    return grant.intent_at is not None and now - grant.intent_at < NOT_FOUND_PROVES_NOTHING


def _narrowed(steps: Sequence[PlanStep]) -> str:
    missing = " ".join(step.sentence for step in steps)
    return (
        "Somebody took part of this access away in AWS. It is not given back by itself. "
        f"Missing: {missing}"
    )


def _close_orphaned(grant: Grant, now: datetime) -> None:
    """The IAM user is gone, or is another one of the same name: the grant is over."""
    _end(grant, "The IAM user is gone from the source account, or was deleted and made again.", now)


def _give_up(grant: Grant, reason: str) -> None:
    _end(grant, reason, database_now())


def _end(grant: Grant, reason: str, now: datetime) -> None:
    """End a grant that can't be provided, undoing what was made of it."""
    lifecycle.revoke(
        grant,
        actor=lifecycle.WORKER,
        sentence="The access could not be provided, and was ended.",
        reason=reason,
        now=now,
    )
    converge(grant.pk)


def _fail(grant: Grant, error: AwsError | ForeignObject) -> None:
    now = database_now()
    words = in_words(error)
    log.warning("grant_failed", error=str(error), request_id=getattr(error, "request_id", ""))
    transient = isinstance(error, AwsError) and error.kind in {Kind.TRANSIENT, Kind.EXISTS}
    if not grant.should_exist(now):
        if grant.intent_at is None:
            # Nothing was ever made, so there is nothing that a refusal could hide.
            lifecycle.note_phase(grant, states.Phase.ENDED, now, remark=words)
            return
    elif not transient and grant.settled_at is None and grant.attempts + 1 >= ATTENTION_AFTER:
        _give_up(grant, words)
        return
    lifecycle.note_failure(grant, words, now)
