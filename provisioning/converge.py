"""observe -> plan -> apply, for one grant.

Provision, revoke, expire and drift are this one call with another wish; the preview for an
approver is the same without the last part. A message only says which grant: everything else is
read here, so a lost, doubled, late or forged message does no harm.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import structlog
from django.conf import settings

from accounts.models import AccountPair, AwsAccount, Offer
from audit.clock import database_now
from provisioning import lifecycle
from provisioning.aws import iam
from provisioning.aws.errors import AwsError, Kind
from provisioning.aws.sessions import AccountSession, Provisioner, assume
from provisioning.core import documents, naming, plan, states
from provisioning.core.plan import AccountRef, ForeignObject, Found, GrantSpec, Wanted
from provisioning.core.steps import DeleteRole, PlanStep, PutRolePolicy, RemoveUserFromGroup
from provisioning.models import ATTENTION_AFTER, AccessRequest, Grant

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


# --- From rows to values ---------------------------------------------------------------------


def _ref(account: AwsAccount) -> AccountRef:
    return AccountRef(account.partition, account.account_id, account.name)


def spec_for_request(request: AccessRequest) -> GrantSpec:
    """What the documents of a request's grant would depend on, before the decision."""
    pair, version, identity = request.offer.pair, request.profile_version, request.identity
    return GrantSpec(
        code=request.code,
        portal_id=settings.PORTAL_ID,
        source=_ref(pair.source),
        target=_ref(pair.target),
        user_name=identity.user_name,
        user_arn=identity.arn,
        user_id=identity.unique_id,
        switch_group=pair.switch_group,
        group_targets=tuple(pair.group_targets()),
        group_policies=tuple(pair.source.group_policies),
        profile_role=version.role_name,
        managed_policies=tuple(version.managed_policies),
        inline_policy=version.inline_policy,
        max_session=version.session_duration,
        require_mfa=version.require_mfa,
        boundary_arn=pair.target.boundary_arn,
        duration=request.duration,
    )


def spec_for_grant(grant: Grant) -> GrantSpec:
    """What the documents of a grant depend on now."""
    return replace(
        spec_for_request(grant.request),
        user_arn=grant.iam_user_arn,
        user_id=grant.iam_user_id,
        boundary_arn=grant.boundary_arn,
        ends_at=grant.ends_at,
        revoked_at=grant.revoked_at,
        keep_membership=_others_need_membership(grant),
    )


def _others_need_membership(grant: Grant) -> bool:
    """Whether another live grant of the same IAM user goes through the same switch group."""
    pair = grant.request.offer.pair
    now = database_now()
    return (
        Grant.objects.live()
        .filter(
            identity_id=grant.identity_id,
            request__offer__pair__source=pair.source,
            request__offer__pair__switch_group=pair.switch_group,
            revoked_at__isnull=True,
            ends_at__gt=now,
        )
        .exclude(pk=grant.pk)
        .exists()
    )


def provisioner(account: AwsAccount) -> Provisioner:
    """How to enter an account."""
    return Provisioner(
        account.account_id, account.region, account.provisioner_role_arn, account.external_id
    )


def _source(request: AccessRequest, spec: GrantSpec) -> AccountSession:
    """A session in the source account, narrowed to this grant's group and user."""
    arn = naming.group_arn(spec.source.partition, spec.source.account_id, spec.switch_group)
    policy = documents.source_session_policy(
        group_arn=arn, user_arn=spec.user_arn, policy_arns=spec.group_policy_arns
    )
    return assume(
        provisioner(request.offer.pair.source),
        session_name=naming.session_name(spec.code),
        policy=policy,
    )


def _target(request: AccessRequest, spec: GrantSpec) -> AccountSession:
    """A session in the target account, narrowed to this grant's role."""
    arn = naming.role_arn(spec.target.partition, spec.target.account_id, spec.role_name)
    policy = documents.target_session_policy(role_arn=arn, policy_arns=spec.role_policies)
    return assume(
        provisioner(request.offer.pair.target),
        session_name=naming.session_name(spec.code),
        policy=policy,
    )


# --- Pairs -----------------------------------------------------------------------------------


def prepare_pair(pair_id: int) -> None:
    """Make a pair's switch group what an admin registered, if that was asked for.

    Only an admin's change asks for it: what somebody took away in AWS is not given back (I12).
    """
    began = database_now()
    pairs = AccountPair.objects.select_related("source", "target")
    pair = pairs.filter(pk=pair_id, next_check_at__lte=began).first()
    if pair is None:
        return
    problem = ""
    try:
        _make_group(pair)
    except (AwsError, ForeignObject) as error:
        problem = in_words(error)
    lifecycle.note_pair(pair, began=began, now=database_now(), error=problem)


def _make_group(pair: AccountPair) -> None:
    spec = plan.GroupSpec(
        source=_ref(pair.source),
        name=pair.switch_group,
        targets=tuple(pair.group_targets()),
        policies=tuple(pair.source.group_policies),
    )
    arn = naming.group_arn(spec.source.partition, spec.source.account_id, spec.name)
    policy = documents.source_session_policy(group_arn=arn, policy_arns=spec.policy_arns)
    name = naming.session_name(f"pair-{pair.pk}")
    client = assume(provisioner(pair.source), session_name=name, policy=policy).iam()
    for _ in range(PASSES):
        steps = plan.plan_group(spec, iam.find_group(client, spec.name))
        if not steps:
            return
        for step in steps:
            iam.apply(client, step)
    raise _not_converging()


# --- Preview ---------------------------------------------------------------------------------


def preview(request_id: int) -> None:
    """Try the plan of a request without changing anything, and store what was found."""
    request = AccessRequest.objects.with_parties().filter(pk=request_id).first()
    if request is None or request.state != states.RequestState.PENDING:
        return
    now = database_now()
    spec = spec_for_request(request)
    try:
        source, target = _source(request, spec), _target(request, spec)
        clients = iam.Clients(source=source.iam(), target=target.iam())
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


def unseen_steps(spec: GrantSpec, now: datetime) -> list[dict[str, Any]]:
    """The steps as if nothing existed: what a page shows until a worker has looked."""
    return describe(plan.plan(plan.desired(spec, now), plan.NOTHING))


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


# --- Convergence -----------------------------------------------------------------------------


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
    decision = grant.request.decision
    if not decision.approver.is_active or not grant.request.requester.is_active:
        raise RightsLost("The requester or the approver has been switched off since the decision.")
    if not grant.request.offer.approvers().filter(pk=decision.approver_id).exists():
        raise RightsLost("The approver no longer is an approver of this offer.")
    if not Offer.objects.naming(grant.request.requester).filter(pk=grant.request.offer_id).exists():
        raise RightsLost("The offer no longer names the requester as one who may ask.")


def _settle(grant: Grant) -> None:
    """Observe, plan and apply until nothing is left that may be done, then record the phase."""
    spec = spec_for_grant(grant)
    clients, unreachable = _open(grant, spec)
    deleted = False
    for _ in range(PASSES):
        now = database_now()
        spec = replace(spec, keep_membership=_others_need_membership(grant))
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
    raise _not_converging()


def _not_converging() -> AwsError:
    words = "AWS did not show the changes yet. They will be checked again."
    return AwsError(Kind.TRANSIENT, call="observe", code="NotConverging", message=words)


def _open(grant: Grant, spec: GrantSpec) -> tuple[iam.Clients, AwsError | None]:
    """Sessions in both accounts; for a removal also in only one of them, and why that is.

    Either account may have shut us out. That must not keep the way through the other one open.
    """
    target, no_target = _try_open(grant, lambda: _target(grant.request, spec))
    if target is not None:
        _lock_out(grant, spec, target)
    source, no_source = _try_open(grant, lambda: _source(grant.request, spec))
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
    """All steps at first; once settled only those that take access away (I12)."""
    return list(steps if grant.settled_at is None else plan.without_a_person(steps))


def _apply(grant: Grant, clients: iam.Clients, steps: Sequence[PlanStep]) -> bool:
    """Do the steps in order. Returns whether the role was deleted."""
    for step in steps:
        if not lifecycle.renew(grant, database_now()):
            raise lifecycle.StaleState("Revoked meanwhile, or another worker took over.")
        if step.gives:
            lifecycle.note_intent(grant, database_now())
        if isinstance(step, RemoveUserFromGroup) and _others_need_membership(grant):
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


def in_words(error: AwsError | ForeignObject) -> str:
    """A failure as a person reads it, with what to do where we know it."""
    if isinstance(error, ForeignObject):
        return f"{error} Sallyport does not touch it. Rename or remove it, then ask again."
    hint = _HINTS.get(error.code, "")
    return f"{error.call} was answered {error.code}: {error.message} {hint}".strip()


_HINTS: Final = {
    "AccessDenied": "Run Check connection on the account's page: it says which right is missing.",
    "LimitExceeded": "A quota of the account is full; AWS names it above.",
    "WrongAccount": "Correct the provisioner role on the account's page.",
}
