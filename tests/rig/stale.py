"""Reads that have not heard of the last changes, at each read and for minutes on end.

IAM answers from replicas [AWS-FACTS 7.6]. So a read may deny what was just made, show what was just
deleted, and tell a document of before. Whatever it tells, nothing is called removed that is there,
nothing active that does not let the right person in, and once replicas have caught up the work
comes to its end.

One unit makes a single read stale; the other all of them, for as long as a change is unseen. What
the reads are about was made just before (`young`), or long enough ago to be seen (`old`).
"""

from datetime import timedelta
from typing import Any, Final

from audit.clock import database_now
from provisioning.engine import converge
from provisioning.models import Grant
from tests.rig.cases import Cases
from tests.rig.invariants import check_everything, check_no_orphans, check_usable
from tests.rig.operations import Operation, finish, named, outcome, points
from tests.rig.stand import Rig, fresh

AGES: Final = {"young": timedelta(), "old": timedelta(minutes=6)}
LAGS: Final = (20, 100, 250)
"""Seconds; below the five minutes after which an absence is believed."""
ROUND: Final = timedelta(seconds=30)
ROUNDS: Final = 30
"""Longer than the replicas lag, and the longest wait between two tries after it."""


def each_read(rig: Rig, name: str, cases: Cases) -> None:
    """Make one read of an operation stale, each in its turn."""
    operation = named(name)
    for point in points(rig, operation):
        for age in _ages(operation) if cases.full else ["young"]:
            case = f"{name}:{point.name}:stale:{age}"
            reads = point.service == "iam" and point.reads
            if reads and cases.wants(case):
                with cases.case(case):
                    _play(rig, operation, age, point.fault("stale") | {"seconds": 250})


def all_reads(rig: Rig, name: str, cases: Cases) -> None:
    """Let each change of an operation be unseen for a while."""
    operation = named(name)
    for lag in LAGS:
        for age in _ages(operation):
            case = f"{name}:unseen for {lag} s:{age}"
            if cases.wants(case):
                with cases.case(case):
                    _play(rig, operation, age, {"kind": "stale", "seconds": lag, "times": 0})


def _ages(operation: Operation) -> list[str]:
    """A new access is always young, and one that ends by itself is old."""
    return list(AGES) if operation.name in {"revoke", "extend"} else ["young"]


def _play(rig: Rig, operation: Operation, age: str, fault: dict[str, Any]) -> None:
    rig.put_back()
    pk = operation.prepare(rig)
    rig.mend()
    rig.pass_time(AGES[age])
    rig.spoil(fault)
    converge.converge(pk)
    _judge_claims(rig, pk)
    lag = timedelta(seconds=fault["seconds"]) if fault["times"] == 0 else 2 * ROUND
    caught_up = database_now() + lag
    for _ in range(ROUNDS):
        rig.pass_time(ROUND)
        rig.sweep()
        _judge_claims(rig, pk)
        if database_now() > caught_up and outcome(operation, pk) == operation.leads_to:
            break
    assert outcome(operation, pk) == operation.leads_to, Grant.objects.get(pk=pk).last_error
    rig.mend()
    finish(rig, operation, pk)
    check_no_orphans(rig)
    assert outcome(operation, pk) == "ended"


def _judge_claims(rig: Rig, pk: int) -> None:
    """What the row says is true of AWS as it is, whatever was read."""
    state = check_everything(rig)
    check_no_orphans(rig)
    grant = fresh(Grant.objects.get(pk=pk))
    if grant.phase == "active" and not grant.last_error:
        check_usable(state, grant, database_now())
    assert grant.phase == "ended" or grant.next_check_at is not None
