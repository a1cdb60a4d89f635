"""A worker that stands still in the middle of a call, and wakes up after others have gone on.

The worker is stopped at a call, which stays on its way. The lease runs out, and another worker
finishes the work, or the access is revoked and removed. Then the late call is applied, and the
worker runs on: it must add nothing that the next sweep does not take away, and open nothing at any
moment.
"""

import os
import signal
from datetime import timedelta

from audit.clock import database_now
from provisioning import services
from provisioning.models import Grant
from tests.rig.cases import Cases
from tests.rig.invariants import check_everything, check_no_orphans, check_usable
from tests.rig.operations import Operation, Point, finish, named, points
from tests.rig.stand import LEASE_AND_MORE, Rig, fresh


def waking_late(rig: Rig, name: str, meanwhile: str, cases: Cases) -> None:
    """Let workers stand still at each call that changes something, while it is "finished" by
    another worker, or "revoked"."""
    operation = named(name)
    for point in points(rig, operation):
        case = f"{name}:{point.name}:{meanwhile}"
        if not point.reads and cases.wants(case):
            with cases.case(case):
                _play(rig, operation, point, revoked=meanwhile == "revoked")


def _play(rig: Rig, operation: Operation, point: Point, *, revoked: bool) -> None:
    rig.put_back()
    pk = operation.prepare(rig)
    rig.mend()
    rig.spoil(point.fault("stop-before"))
    pid = rig.begin(operation.work, pk)
    assert rig.control("held?wait=20"), "The call did not come."
    try:
        grant = _go_on_without(rig, pk, revoked=revoked)
        rig.control("release?do=go")
    finally:
        os.kill(pid, signal.SIGCONT)
    assert rig.end().status == 0
    rig.mend()
    assert fresh(grant).revoked_at == grant.revoked_at
    check_everything(rig)
    _judge_after_the_next_sweeps(rig, grant)
    finish(rig, operation, pk)
    check_no_orphans(rig)
    assert fresh(grant).phase == "ended"


def _go_on_without(rig: Rig, pk: int, *, revoked: bool) -> Grant:
    rig.pass_time(LEASE_AND_MORE)
    if revoked:
        grant = Grant.objects.with_parties().get(pk=pk)
        services.revoke(person=rig.cast.dana, grant=grant, reason="Wrong account.")
    rig.sweep()
    check_everything(rig)
    return fresh(Grant.objects.get(pk=pk))


def _judge_after_the_next_sweeps(rig: Rig, grant: Grant) -> None:
    for _ in range(2):
        rig.pass_time(timedelta(seconds=20))
        rig.sweep()
        state = check_everything(rig)
    check_no_orphans(rig)
    if grant.revoked_at is None:
        assert fresh(grant).phase == "active"
        check_usable(state, fresh(grant), database_now())
