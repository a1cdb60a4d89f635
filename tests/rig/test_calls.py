"""Each call of each operation, spoiled on the wire in each way that AWS and networks know.

Whatever goes wrong once, the row never says more than AWS has: active only where the right person
gets in, ended only where nothing is left; and the next rounds bring the work to its end. What goes
wrong for good is undone and told (a provision), or tried for ever and shown (a removal).

`make test` spoils each call in some of the ways, `make test-long` in all of them.
"""

from datetime import timedelta
from typing import Final

import pytest

from audit.clock import database_now
from provisioning import converge
from provisioning.models import Grant
from tests.rig.invariants import check_everything, check_no_orphans, check_usable
from tests.rig.operations import LONG, Operation, Point, finish, named, outcome, points, wanted
from tests.rig.stand import LEASE_AND_MORE, TARGET, Rig, arn_of, fresh

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]

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
SHARE: Final = 1 if LONG else 6
"""Each call meets every sixth kind, another sixth than the call before it."""


@pytest.mark.parametrize("name", ["provision", "extend", "revoke", "expire"])
def test_whatever_goes_wrong_once_is_told_and_got_over(
    rig: Rig, name: str, subtests: pytest.Subtests
) -> None:
    operation = named(name)
    for number, point in enumerate(points(rig, operation)):
        for kind in KINDS[number % SHARE :: SHARE]:
            case = f"{name}:{point.name}:{kind}"
            if wanted(case):
                with subtests.test(case):
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


@pytest.mark.parametrize("kind", ["limit", "denied", "malformed"])
def test_a_provision_that_is_refused_for_good_is_undone_and_told_in_words(
    rig: Rig, kind: str
) -> None:
    grant = rig.approved()
    rig.spoil({"kind": kind, "action": "CreateRole", "times": 0})

    for _ in range(4):
        rig.sweep()
        rig.pass_time(timedelta(seconds=20))
        check_everything(rig)

    grant = fresh(grant)
    assert grant.revoked_by == "system:worker"
    assert "iam:CreateRole" in grant.revoke_reason
    if kind == "limit":
        assert "RolesPerAccount: 1000" in grant.revoke_reason
    check_no_orphans(rig)
    rig.pass_time(timedelta(minutes=5))
    rig.sweep()
    assert fresh(grant).phase == "ended"


@pytest.mark.parametrize("action", ["DeleteRole", "DetachRolePolicy", "GetRole", "AssumeRole"])
@pytest.mark.parametrize("kind", ["denied", "throttle"])
def test_a_removal_is_tried_for_ever_and_asks_for_attention(
    rig: Rig, kind: str, action: str
) -> None:
    operation = named("revoke")
    pk = operation.prepare(rig)
    rig.spoil({"kind": kind, "action": action, "account": TARGET, "times": 0})

    for _ in range(8):
        rig.sweep()
        rig.pass_time(timedelta(minutes=7))
        check_everything(rig)

    grant = fresh(Grant.objects.get(pk=pk))
    assert (grant.phase, grant.needs_attention) == ("ending", True)
    assert grant.attempts > 3
    assert grant.next_check_at is not None
    rig.mend()
    rig.pass_time(LEASE_AND_MORE)
    rig.pass_time(timedelta(minutes=7))
    rig.sweep()
    assert fresh(grant).phase == "ended"
    check_no_orphans(rig)
