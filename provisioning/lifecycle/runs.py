"""What a worker that holds a grant records of its run: how it saw AWS, or why it failed."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction

from audit.models import append
from provisioning.core.states import Phase, RequestState
from provisioning.core.steps import PlanStep
from provisioning.lifecycle.claims import record
from provisioning.lifecycle.common import LONGEST_BACK_OFF, WORKER, StaleState, back_off, utc
from provisioning.models import AccessRequest, Grant

LONGEST_WAIT_TO_REMOVE = timedelta(seconds=75)
"""What is over is tried again sooner, however long AWS has refused: within two minutes after it
lets us again nothing is left."""


def begin(grant: Grant, now: datetime) -> bool:
    """Whether a claimed grant needs a look at AWS. One that waits for its start does not, nor one
    that was over before it: nothing of them was ever made."""
    if grant.phase != Phase.SCHEDULED:
        return True
    if grant.is_scheduled_at(now):
        record(grant, next_check_at=grant.starts_at, leased_until=None)
        return False
    if not grant.should_exist(now):
        note_phase(grant, Phase.ENDED, now)
        return False
    with transaction.atomic():
        record(grant, phase=Phase.PENDING)
        append(
            kind="grant:phase:pending",
            actor=WORKER,
            subject=grant.subject,
            sentence="The start has come; a worker makes the access in AWS.",
            data={"from": Phase.SCHEDULED},
        )
    return True


def note_lock_out(grant: Grant, now: datetime) -> None:
    """Store that AWS answered the first step of a removal."""
    if grant.locked_out_at is None:
        with transaction.atomic():
            record(grant, locked_out_at=now)
            append(
                kind="grant:locked_out",
                actor=WORKER,
                subject=grant.subject,
                sentence="AWS refuses the role everything from now on, open sessions included.",
            )


def note_cut_back(grant: Grant, step: PlanStep) -> None:
    """Tell that a worker took from live access what nobody had approved."""
    append(
        kind="grant:cut_back",
        actor=WORKER,
        subject=grant.subject,
        sentence=f"AWS let through more than was approved. {step.sentence}",
        data={"call": step.call, "documents": list(step.documents)},
    )


def note_phase(
    grant: Grant,
    phase: Phase,
    now: datetime,
    *,
    remark: str = "",
    done: Sequence[PlanStep] = (),
) -> None:
    """Record what AWS was seen to be, and when to look next. `remark` is shown beside the phase,
    and the event tells which steps of the plan were `done` in this run."""
    values: dict[str, object] = {
        "phase": phase,
        "last_error": remark,
        "attempts": 0,
        "leased_until": None,
        "next_check_at": _next_check(grant, phase, now),
    }
    if phase is Phase.ACTIVE:
        values["settled_at"] = grant.settled_at or now
        values["reopened_at"] = None
        values["extending_from"] = None
    if phase is Phase.ENDED:
        values["ended_at"] = now
    before, extended_from = grant.phase, grant.extending_from
    with transaction.atomic():
        record(grant, **values)
        if phase is Phase.ACTIVE and extended_from is not None:
            append(
                kind="grant:extension:confirmed",
                actor=WORKER,
                subject=grant.subject,
                sentence=f"AWS ends the access at {utc(grant.ends_at)} from now on.",
            )
        if before != phase:
            append(
                kind=f"grant:phase:{phase}",
                actor=WORKER,
                subject=grant.subject,
                sentence=_PHASE_SENTENCES[phase],
                reason=remark,
                data={"from": before, "steps": [f"{step.call}: {step.sentence}" for step in done]},
            )


_PHASE_SENTENCES = {
    Phase.PENDING: "AWS no longer is as it was approved.",
    Phase.ACTIVE: "The access exists in AWS and can be used.",
    Phase.ENDING: "The access is over; its parts in AWS are being removed.",
    Phase.ENDED: "Nothing of the access is left in AWS.",
}


def _next_check(grant: Grant, phase: Phase, now: datetime) -> datetime | None:
    if phase is Phase.ENDED:
        return None
    if phase is Phase.ENDING:
        return now + timedelta(seconds=15)
    # The scans of both accounts see what changes meanwhile, and ask for another look.
    return grant.ends_at


def note_failure(grant: Grant, error: str, now: datetime) -> None:
    """Record a failed run: removals are tried for ever, creations until the end."""
    attempts = grant.attempts + 1
    with transaction.atomic():
        record(
            grant,
            phase=_phase_after_failure(grant, now),
            last_error=error,
            attempts=attempts,
            leased_until=None,
            next_check_at=now + back_off(attempts, _longest_wait(grant, now)),
        )
        append(
            kind="grant:failed",
            actor=WORKER,
            subject=grant.subject,
            sentence="A worker could not finish; it will be tried again.",
            reason=error,
            data={"attempt": attempts},
        )


def _phase_after_failure(grant: Grant, now: datetime) -> Phase:
    """An unfinished removal is `ending`; anything else stays what it was last seen to be."""
    return Phase(grant.phase) if grant.should_exist(now) else Phase.ENDING


def _longest_wait(grant: Grant, now: datetime) -> timedelta:
    return LONGEST_BACK_OFF if grant.should_exist(now) else LONGEST_WAIT_TO_REMOVE


def take_back_extension(grant: Grant, *, reason: str, now: datetime) -> None:
    """Set a grant's end back to what AWS enforces: its extension may or can not be given.

    The access itself goes on to that end. What AWS was told of the later one is narrowed by the
    next look, which needs nobody's permission.
    """
    former = (
        AccessRequest.objects.filter(
            extends=grant, state=RequestState.APPROVED, extends_until=grant.extending_from
        )
        .exclude(pk=grant.rests_on.pk)
        .order_by("id")
        .last()
    )
    fingerprint = (former or grant.request).decided_fingerprint
    if not fingerprint:  # A trigger has refused such a grant; it is here for the type.
        raise StaleState("Nothing was decided that the access could go back to.")
    refused = grant.ends_at
    with transaction.atomic():
        record(
            grant,
            ends_at=grant.extending_from,
            extending_from=None,
            authority=former,
            fingerprint=fingerprint,
            reopened_at=None,
            next_check_at=now,
            attempts=0,
        )
        append(
            kind="grant:extension:refused",
            actor=WORKER,
            subject=grant.subject,
            sentence=(
                f"The extension to {utc(refused)} was not made; "
                f"the access still ends at {utc(grant.ends_at)}."
            ),
            reason=reason,
        )
