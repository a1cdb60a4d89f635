"""A share of the spoiled calls (tests/rig/spoiled.py), and what AWS refuses for good."""

from datetime import timedelta
from types import SimpleNamespace

import pytest

from provisioning.models import Grant
from tests.rig import spoiled
from tests.rig.invariants import check_everything, check_no_orphans
from tests.rig.operations import named
from tests.rig.shares import Share
from tests.rig.stand import LEASE_AND_MORE, TARGET, Rig, fresh

# The rig plays more of the same, so `make test` need not.
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.faults,
    pytest.mark.slow,
]


@pytest.mark.parametrize("name", ["provision", "extend", "revoke", "expire"])
def test_whatever_goes_wrong_once_is_told_and_got_over(
    rig: Rig, name: str, subtests: pytest.Subtests
) -> None:
    spoiled.each_call(rig, name, Share(subtests))


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


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore tries again at once. How long it waits before that says nothing here, and with so
    many throttled calls it is most of a test's time."""
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda seconds: None))


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("action", ["DeleteRole", "DetachRolePolicy", "GetRole", "AssumeRole"])
@pytest.mark.parametrize("kind", ["denied", "throttle"])
def test_a_removal_is_tried_for_ever_and_asks_for_attention(
    rig: Rig, kind: str, action: str
) -> None:
    operation = named("revoke")
    pk = operation.prepare(rig)
    rig.spoil({"kind": kind, "action": action, "account": TARGET, "times": 0})

    for _ in range(5):
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
