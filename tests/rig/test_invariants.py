"""The rig's own eyes: each invariant is broken on purpose, and seen."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from accounts.models import AccountPair, IamIdentity, Offer, User
from audit.clock import database_now
from provisioning.models import Grant
from tests.factories import AccessRequestFactory, GrantFactory
from tests.rig.invariants import check_commands, check_touched

pytestmark = pytest.mark.django_db

TARGET = "222222222222"
PROVISIONER = f"arn:aws:sts::{TARGET}:assumed-role/SallyportProvisioner/s"


@pytest.fixture
def grant(offer: Offer, alice: User, bob: User) -> Grant:
    grant: Grant = GrantFactory.create(request__offer=offer, request__requester=alice)
    return Grant.objects.with_parties().get(pk=grant.pk)


def call(object_: str, **more: Any) -> dict[str, Any]:
    """A call of a provisioner's that changes something."""
    return {
        "service": "iam",
        "action": "DeleteRole",
        "account": TARGET,
        "who": PROVISIONER,
        "object": f"arn:aws:iam::{TARGET}:{object_}",
        "tags": {},
        "applied": True,
    } | more


def test_calls_about_what_is_ours_pass(grant: Grant, pair: AccountPair) -> None:
    group = f"group/sallyport/{pair.switch_group}"
    check_touched(
        [
            call(f"role/sallyport/{grant.role_name}"),
            call(f"role/{grant.role_name}", applied=False),
            call(group, action="AddUserToGroup", account=pair.source.account_id),
            call("role/Admin", action="GetRole"),
            call("role/Admin", who=f"arn:aws:iam::{TARGET}:root"),
            call("role/Admin", service="sts", action="AssumeRole"),
        ]
    )


@pytest.mark.parametrize(
    "foreign",
    [
        lambda name: call("role/Admin"),
        lambda name: call("role/Admin", applied=False),
        lambda name: call(f"role/{name}"),
        lambda name: call(f"role/other/{name}", applied=False),
        lambda name: call(f"role/sallyport/{name}", tags={"sallyport:portal": "another"}),
        lambda name: call(f"role/sallyport/{name}x"),
        lambda name: call("group/sallyport/switch-to-333333333333", action="DeleteGroup"),
        lambda name: call("user/sallyport/userA", action="DeleteUser"),
        lambda name: call(f"policy/sallyport/{name}", action="DeletePolicy"),
    ],
)
def test_a_call_about_what_is_not_ours_is_seen_even_where_it_was_refused(
    grant: Grant, identity: IamIdentity, foreign: Callable[[str], Any]
) -> None:
    with pytest.raises(AssertionError):
        check_touched([foreign(grant.role_name)])


def test_a_grant_to_which_nobody_comes_back_is_seen(grant: Grant) -> None:
    now = database_now()
    Grant.objects.update(next_check_at=now)
    check_commands(now)

    Grant.objects.update(next_check_at=None)
    with pytest.raises(AssertionError, match="nobody comes back"):
        check_commands(now)
    Grant.objects.update(next_check_at=now + timedelta(minutes=10))
    with pytest.raises(AssertionError, match=grant.code):
        check_commands(now)


def test_a_failure_that_asks_nobody_is_seen(grant: Grant) -> None:
    now = database_now()
    Grant.objects.update(next_check_at=now, attempts=3, last_error="Denied.")
    check_commands(now)

    Grant.objects.update(last_error="")
    with pytest.raises(AssertionError, match=grant.code):
        check_commands(now)


def test_an_approval_that_nothing_came_of_is_seen(grant: Grant, offer: Offer, alice: User) -> None:
    AccessRequestFactory.create(offer=offer, requester=alice, state="approved")

    with pytest.raises(AssertionError, match="nothing came of"):
        check_commands(database_now())
