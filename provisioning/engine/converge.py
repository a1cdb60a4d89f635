"""observe -> plan -> apply, for one grant.

Provision, revoke, expire and drift are this one call with another wish; the preview for an
approver is the same without the last part. A message only says which grant: everything else is
read here, so a lost, doubled, late or forged message does no harm.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final

import structlog

from accounts.models import AwsAccount, Offer
from audit.clock import carried_on, database_now
from provisioning import authz, lifecycle, rules
from provisioning.aws.errors import AwsError, Kind
from provisioning.core import plan, states
from provisioning.core.plan import ForeignObject
from provisioning.core.steps import Side
from provisioning.engine import pacing
from provisioning.engine.entry import Doors
from provisioning.engine.failures import in_words
from provisioning.engine.settle import UserGone, settle, sides
from provisioning.models import ATTENTION_AFTER, Grant
from provisioning.specs import spec_for_request, spec_for_work

log = structlog.get_logger(__name__)

type Clock = Callable[[], datetime]
"""The database's clock, carried on."""

UNKNOWN_AFTER: Final = 7
"""Attempts, two minutes in all, after which a user that AWS does not know counts as gone [4.6]."""
CRASHED: Final = "An error inside Sallyport, which its operators find in the worker's log."


class PlanChanged(Exception):
    """What would be made is no longer what the approver saw."""


class RightsLost(Exception):
    """Requester or approver may no longer do what this grant rests on."""


def converge(grant_id: int) -> None:
    """Make AWS match one grant, and record what was seen. Never raises for what AWS answers."""
    now = database_now()
    grant = lifecycle.claim(grant_id, now)
    if grant is None:
        return
    with structlog.contextvars.bound_contextvars(grant=grant.code):
        try:
            _run(grant, carried_on(now))
        except lifecycle.StaleState:
            # Revoked meanwhile, or taken over after the lease ran out: the row says what is next.
            log.info("grant_superseded")


def _run(grant: Grant, clock: Clock) -> None:
    try:
        if lifecycle.begin(grant, clock()):
            _work(grant, clock)
    except (PlanChanged, RightsLost) as error:
        _refuse(grant, str(error))
    except UserGone:
        gone = "The IAM user is gone from the source account, or was deleted and made again."
        _end(grant, gone)
    except pacing.TooFast as busy:
        lifecycle.postpone(grant, database_now() + busy.wait)
    except (AwsError, ForeignObject) as error:
        _fail(grant, error)
    except lifecycle.StaleState:
        raise
    except Exception:
        # A bug or a broken row: a person must see it, and it is tried again like any failure.
        log.exception("grant_crashed")
        lifecycle.note_failure(grant, CRASHED, database_now())


def _work(grant: Grant, clock: Clock) -> None:
    """Enter both accounts, and while they answer make sure that the rest may be done.

    Entering changes nothing in AWS. Before the first call that may, there is room for all calls,
    and what was decided still holds.
    """
    now = clock()
    spec, urgent = spec_for_work(grant, now), grant.is_to_be_locked_out
    with Doors(grant.request.offer.pair, spec) as doors:
        try:
            doors.open(Side.TARGET)
            needed = sides(grant, now)
            for side in needed:
                doors.open(side)
            room = room_for(grant, needed, now)
            if not urgent:
                pacing.take_all(room, now=now)
            _refuse_changed(grant, now)
            settle(grant, spec, doors, clock)
            if urgent:
                # Nobody stays in for the time that it takes to ask for room: others wait for it.
                pacing.count(room, now=clock())
        finally:
            _learn(grant, doors)


def room_for(grant: Grant, needed: Iterable[Side], now: datetime) -> dict[AwsAccount, int]:
    """How many IAM calls a run makes in each account. AssumeRole counts in the portal's own account
    and against another limit [AWS-FACTS 7.12]."""
    calls = _calls_of_giving(grant) if grant.should_exist(now) else _calls_of_removing(grant)
    return {_account(grant, side): calls[side] for side in needed}


def _calls_of_giving(grant: Grant) -> dict[Side, int]:
    """The user, their groups, the membership; the role with its deny and policies, two looks."""
    return {Side.SOURCE: 3, Side.TARGET: 4 + grant.profile_version.number_of_policies}


def _calls_of_removing(grant: Grant) -> dict[Side, int]:
    """The membership; the role with its deny and policies, two looks, and locking out before."""
    lock_out = int(grant.is_to_be_locked_out)
    return {Side.SOURCE: 1, Side.TARGET: 4 + grant.profile_version.number_of_policies + lock_out}


def _learn(grant: Grant, doors: Doors) -> None:
    for side in Side:
        pacing.learn(_account(grant, side), doors.throttled(side))


def _account(grant: Grant, side: Side) -> AwsAccount:
    pair = grant.request.offer.pair
    return pair.source if side is Side.SOURCE else pair.target


def _refuse_changed(grant: Grant, now: datetime) -> None:
    """Before access or more time is given: is this still what was decided, by people who may?"""
    if grant.is_given or not grant.should_exist(now):
        return
    decided = spec_for_request(grant.rests_on, group_targets=())
    if plan.fingerprint(decided) != grant.fingerprint:
        raise PlanChanged(
            "The account, the pair or the IAM user was changed after the decision, so the plan is "
            "no longer the one that was approved. Nothing was made; please ask again."
        )
    if stopped := authz.not_stopped(grant.requester, grant.request.offer.pair).reasons:
        raise RightsLost(" ".join(stopped))
    if not grant.request.requester.is_active:
        raise RightsLost("The requester or the approver has been switched off since the decision.")
    if lost := rules.lost_since(grant):
        raise RightsLost(lost)
    if grant.rests_on.taken is not None:
        return
    if not Offer.objects.naming(grant.request.requester).filter(pk=grant.request.offer_id).exists():
        raise RightsLost("The offer no longer names the requester as one who may ask.")


def _refuse(grant: Grant, reason: str) -> None:
    """What was approved may no longer be given: end the access, or leave it its former end."""
    if grant.is_extending:
        now = database_now()
        lifecycle.take_back_extension(grant, reason=reason, now=now)
        _run(grant, carried_on(now))
        return
    _end(grant, reason)


def _end(grant: Grant, reason: str) -> None:
    """End a grant that can't be provided, undoing what was made of it."""
    lifecycle.revoke(
        grant,
        actor=lifecycle.WORKER,
        sentence="The access could not be provided, and was ended.",
        reason=reason,
        now=database_now(),
    )
    converge(grant.pk)


def _fail(grant: Grant, error: AwsError | ForeignObject) -> None:
    """Record a failure, or give up where trying again is of no use."""
    now = database_now()
    words = in_words(error)
    log.warning("grant_failed", error=str(error), request_id=getattr(error, "request_id", ""))
    if not grant.should_exist(now) and grant.intent_at is None:
        # Nothing was ever made, so there is nothing that a refusal could hide.
        lifecycle.note_phase(grant, states.Phase.ENDED, now, remark=words)
    elif grant.should_exist(now) and not grant.is_given and _is_hopeless(grant, error):
        _refuse(grant, words)
    else:
        lifecycle.note_failure(grant, words, now)


def _is_hopeless(grant: Grant, error: AwsError | ForeignObject) -> bool:
    """Whether an access that was never complete is given up: not for what passes by itself."""
    kind = error.kind if isinstance(error, AwsError) else Kind.PERMANENT
    if kind in {Kind.TRANSIENT, Kind.EXISTS}:
        return False
    tries = UNKNOWN_AFTER if kind is Kind.UNKNOWN_YET else ATTENTION_AFTER
    return grant.attempts + 1 >= tries
