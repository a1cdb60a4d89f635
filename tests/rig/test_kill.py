"""kill -9 of the worker, before and after each call to AWS and each write to the database.

For every operation a run without faults tells which calls there are. Then, for each of them, a
worker in a process of its own is killed from outside while AWS holds that very call: before it is
applied, or after it, with the answer still on its way. A third kind lets the worker live and takes
the answer away. Afterwards the lease runs out, a sweeper comes by twice, and the judge looks: at
once, after each sweep, and at the end of the access.

One case alone, by a part of its name:

    CASE=provision:222222222222.CreateRole.1:after .venv/bin/python -m pytest tests/rig
"""

import signal
from collections.abc import Iterator
from datetime import timedelta

import pytest

from audit.clock import database_now
from provisioning.models import Grant
from tests.rig.invariants import (
    check_everything,
    check_no_orphans,
    check_unusable,
    check_usable,
)
from tests.rig.operations import (
    LONG,
    OPERATIONS,
    Operation,
    Point,
    finish,
    outcome,
    points,
    wanted,
)
from tests.rig.stand import LEASE_AND_MORE, Rig, fresh

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]

NEXT_LOOK = timedelta(seconds=20)
HOLDS = {"before": "hold-before", "after": "hold-after"}


def kinds(point: Point) -> Iterator[str]:
    """What is done to one call. Dying after a read, or before the next call, is the same."""
    yield "before"
    if not point.reads or LONG:
        yield "after"
        yield "answer-lost"


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.name)
def test_a_worker_that_dies_around_a_call_leaves_nothing_open_and_nothing_behind(
    rig: Rig, operation: Operation, subtests: pytest.Subtests
) -> None:
    for point in points(rig, operation):
        for kind in kinds(point):
            name = f"{operation.name}:{point.name}:{kind}"
            if wanted(name):
                with subtests.test(name):
                    _play(rig, operation, point, kind)


def _play(rig: Rig, operation: Operation, point: Point, kind: str) -> None:
    rig.put_back()
    pk = operation.prepare(rig)
    rig.mend()
    if kind == "answer-lost":
        rig.spoil(point.fault("cut"))
        assert rig.run(operation.work, pk).status == 0
    else:
        rig.spoil(point.fault(HOLDS[kind]))
        pid = rig.begin(operation.work, pk)
        assert rig.control("held?wait=20"), "The call did not come."
        rig.kill(pid)
    rig.mend()
    _judge_recovery(rig, operation, pk)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.name)
def test_a_worker_that_dies_around_a_write_leaves_nothing_open_and_nothing_behind(
    rig: Rig, operation: Operation, subtests: pytest.Subtests
) -> None:
    rig.put_back()
    pk = operation.prepare(rig)
    writes = rig.run(operation.work, pk).writes
    finish(rig, operation, pk)
    assert writes
    for nth in range(1, writes + 1):
        for when in ("before", "after"):
            name = f"{operation.name}:write.{nth}:{when}"
            if wanted(name):
                with subtests.test(name):
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
