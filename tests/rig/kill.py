"""kill -9 of the worker, before and after each call to AWS and each write to the database.

For every operation a run without faults tells which calls there are. Then, for each of them, a
worker in a process of its own is killed by AWS's stand-in at that very call: before it is applied,
or after it, with the answer still on its way. A third kind lets the worker live and takes
the answer away. Afterwards the lease runs out, a sweeper comes by twice, and the judge looks: at
once, after each sweep, and at the end of the access.
"""

import signal
from collections.abc import Iterator
from datetime import timedelta

from audit.clock import database_now
from provisioning.models import Grant
from tests.rig.cases import Cases
from tests.rig.invariants import (
    check_everything,
    check_no_orphans,
    check_unusable,
    check_usable,
)
from tests.rig.operations import Operation, Point, finish, named, outcome, points
from tests.rig.stand import LEASE_AND_MORE, Rig, fresh

NEXT_LOOK = timedelta(seconds=20)


def around_calls(rig: Rig, name: str, cases: Cases) -> None:
    """Let workers die around each call to AWS of one operation."""
    operation = named(name)
    for point in points(rig, operation):
        for kind in _kinds(point, full=cases.full):
            case = f"{name}:{point.name}:{kind}"
            if cases.wants(case):
                with cases.case(case):
                    _die_around_call(rig, operation, point, kind)


def around_writes(rig: Rig, name: str, cases: Cases) -> None:
    """Let workers die around each write to the database of one operation."""
    operation = named(name)
    rig.put_back()
    pk = operation.prepare(rig)
    writes = rig.run(operation.work, pk).writes
    finish(rig, operation, pk)
    assert writes
    for nth in range(1, writes + 1):
        for when in ("before", "after"):
            case = f"{name}:write.{nth}:{when}"
            if cases.wants(case):
                with cases.case(case):
                    _die_around_write(rig, operation, nth, when)


def _kinds(point: Point, *, full: bool) -> Iterator[str]:
    """What is done to one call. Dying after a read, or before the next call, is the same."""
    yield "before"
    if not point.reads or full:
        yield "after"
        yield "answer-lost"


def _die_around_call(rig: Rig, operation: Operation, point: Point, kind: str) -> None:
    rig.put_back()
    pk = operation.prepare(rig)
    rig.mend()
    if kind == "answer-lost":
        rig.spoil(point.fault("cut"))
        assert rig.run(operation.work, pk).status == 0
    else:
        rig.spoil(point.fault(f"kill-{kind}"))
        ending = rig.run(operation.work, pk)
        assert ending.status == -signal.SIGKILL, "The call did not come."
    rig.mend()
    _judge_recovery(rig, operation, pk)


def _die_around_write(rig: Rig, operation: Operation, nth: int, when: str) -> None:
    rig.put_back()
    pk = operation.prepare(rig)
    ending = rig.run(operation.work, pk, die_at_write=[nth, when])
    assert ending.status == -signal.SIGKILL
    _judge_recovery(rig, operation, pk)


def _judge_recovery(rig: Rig, operation: Operation, pk: int) -> None:
    """At once, after each of two sweeps, at the end of the access, and when all is over."""
    check_everything(rig)
    rig.pass_time(LEASE_AND_MORE)
    for _ in range(2):
        rig.sweep()
        check_everything(rig)
        rig.pass_time(NEXT_LOOK)
    if operation.work != "converge":
        assert outcome(operation, pk) == operation.leads_to
        return
    check_no_orphans(rig)
    grant = fresh(Grant.objects.get(pk=pk))
    if operation.leads_to == "active":
        assert grant.phase == "active", grant.last_error
        check_usable(rig.state(), grant, database_now())
        rig.pass_time(grant.ends_at - database_now())
    check_unusable(rig.state(), grant, database_now())
    finish(rig, operation, pk)
    check_everything(rig)
    check_no_orphans(rig)
    assert fresh(grant).phase == "ended"
