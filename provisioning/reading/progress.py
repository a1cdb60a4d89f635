"""Where a request and its grant stand, from the question to the end."""

from dataclasses import dataclass
from datetime import datetime

from provisioning.core.states import Phase, RequestState
from provisioning.models import AccessRequest, Grant


@dataclass(frozen=True)
class Stage:
    """Where a request and its grant stand: the badge, and whether the page should look again."""

    name: str
    settled: bool
    problem: str = ""
    rests: bool = False
    """Whether nothing but the clock or a person will move it, so that looking seldom is enough."""


def stage(request: AccessRequest, grant: Grant | None, now: datetime) -> Stage:
    """One word for a request from the question to the end."""
    if grant is None:
        waiting = request.state == RequestState.PENDING
        return Stage(request.state, settled=not waiting and not is_being_given(request))
    phase = grant.phase_at(now)
    name = "attention" if grant.needs_attention else phase.value
    return Stage(
        name,
        settled=phase is Phase.ENDED,
        problem=grant.last_error,
        rests=grant.rests_at(now) and grant.reopened_at is None and not grant.needs_attention,
    )


def grant_of(request: AccessRequest) -> Grant | None:
    """The grant that followed from a request, if any."""
    return getattr(request, "grant", None)


def is_being_given(request: AccessRequest) -> bool:
    """Whether this is an approved extension whose end AWS has not confirmed yet."""
    grant = request.extends
    return grant is not None and grant.is_extending and grant.authority_id == request.pk


def _was_given(request: AccessRequest) -> bool:
    """Whether AWS ended, or ends, the access no earlier than this approved extension asks."""
    grant = request.extends
    return grant is not None and bool(
        request.extends_until and grant.enforced_until >= request.extends_until
    )


def _progress_of_extension(request: AccessRequest) -> list[dict[str, str]]:
    """The road of a request for more time: it ends where AWS has the later end."""
    decided = request.state == RequestState.APPROVED
    given, under_way = _was_given(request), is_being_given(request)
    never = decided and not given and not under_way
    return [
        _step("Requested", "done"),
        _approval(is_given=decided),
        _step("Set up in AWS", "failed" if never else _reached(decided and given, under_way)),
    ]


def progress(request: AccessRequest, grant: Grant | None, now: datetime) -> list[dict[str, str]]:
    """The road from the question to the end, as steps with a state each."""
    phase = grant.phase_at(now) if grant else None
    refused = request.state in {
        RequestState.REJECTED,
        RequestState.CANCELLED,
        RequestState.EXPIRED,
    }
    if refused:
        return [_step("Requested", "done"), _step(request.state.capitalize(), "failed")]
    if request.extends is not None:
        return _progress_of_extension(request)
    seen = phase in {Phase.ACTIVE, Phase.ENDING, Phase.ENDED}
    never = phase in {Phase.ENDING, Phase.ENDED} and grant is not None and not grant.settled_at
    return [
        *(
            [_step("Taken in an emergency", "done")]
            if request.taken
            else [
                _step("Requested", "done"),
                _approval(is_given=grant is not None),
            ]
        ),
        *([_step("Scheduled", _waits(phase))] if request.begins_at and grant else []),
        _step("Set up in AWS", "failed" if never else _reached(seen, phase is Phase.PENDING)),
        _step("Active", "todo" if never else _reached(_was_active(phase), phase is Phase.ACTIVE)),
        _step("Ended", _reached(phase is Phase.ENDED, phase is Phase.ENDING)),
    ]


def _waits(phase: Phase | None) -> str:
    return "current" if phase is Phase.SCHEDULED else "done"


def _was_active(phase: Phase | None) -> bool:
    return phase in {Phase.ENDING, Phase.ENDED}


def _reached(done: bool, current: bool) -> str:
    return "done" if done else "current" if current else "todo"


def _approval(*, is_given: bool) -> dict[str, str]:
    """What nobody has approved yet is not to read as if somebody had."""
    return _step("Approved", "done") if is_given else _step("Approval", "current")


def _step(label: str, state: str) -> dict[str, str]:
    return {"label": label, "state": state}
