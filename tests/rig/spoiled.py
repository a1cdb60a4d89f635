"""Each call of each operation, spoiled on the wire in each way that AWS and networks know.

Whatever goes wrong once, the row never says more than AWS has: active only where the right person
gets in, ended only where nothing is left; and the next rounds bring the work to its end. What goes
wrong for good is undone and told (a provision), or tried for ever and shown (a removal).

A quick run spoils each call in some of the ways, a full one in all of them.
"""

from datetime import timedelta
from typing import Final

from audit.clock import database_now
from provisioning.engine import converge
from provisioning.models import Grant
from tests.rig.cases import Cases
from tests.rig.invariants import check_everything, check_no_orphans, check_usable
from tests.rig.operations import Operation, Point, finish, named, outcome, points
from tests.rig.stand import Rig, arn_of, fresh

TRIES: Final = 3
"""How often botocore asks before it gives up, where it asks again at all."""

KINDS: Final = (
    "throttle",
    "failure",
    "unavailable",
    "concurrent",
    "unmodifiable",
    "limit",
    "delete-conflict",
    "invalid-principal",
    "malformed",
    "expired-token",
    "request-expired",
    "skew",
    "denied",
    "not-found",
    "lost",
    "cut",
    "garbage",
)
EVERY: Final = 6
"""In a quick run each call meets every sixth kind, another sixth than the call before it."""


def each_call(rig: Rig, name: str, cases: Cases) -> None:
    """Spoil each call of one operation, one at a time."""
    operation = named(name)
    step = 1 if cases.full else EVERY
    for number, point in enumerate(points(rig, operation)):
        for kind in KINDS[number % step :: step]:
            case = f"{name}:{point.name}:{kind}"
            if cases.wants(case):
                with cases.case(case):
                    _play(rig, operation, point, kind)


def _play(rig: Rig, operation: Operation, point: Point, kind: str) -> None:
    rig.put_back()
    pk = operation.prepare(rig)
    rig.mend()
    rig.spoil(point.fault(kind, times=TRIES))
    converge.converge(pk)
    rig.mend()
    _judge_row(rig, fresh(Grant.objects.get(pk=pk)), operation)
    for _ in range(4):
        rig.pass_time(timedelta(seconds=30))
        rig.sweep()
        check_everything(rig)
    if operation.leads_to == "active":
        assert outcome(operation, pk) == "active", Grant.objects.get(pk=pk).last_error
    else:
        # After a failure a removal says so only once what was made last cannot be unseen any more.
        check_no_orphans(rig)
    finish(rig, operation, pk)
    check_no_orphans(rig)
    assert outcome(operation, pk) == "ended"


def _judge_row(rig: Rig, grant: Grant, operation: Operation) -> None:
    """What the row says is true, and a failure is told in words and tried again."""
    state = check_everything(rig)
    if grant.phase == "active" and not grant.last_error:
        check_usable(state, grant, database_now())
    if grant.phase == "ended":
        assert state.find(arn_of(grant)) is None
        return
    assert grant.next_check_at is not None
    assert grant.leased_until is None
    assert grant.attempts == 0 or grant.last_error
