"""The judge of decisions has eyes of its own: each rule is broken on purpose, and seen."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group

from accounts.models import Offer, User
from audit.clock import database_now
from audit.models import append
from provisioning.models import AccessRequest, Grant, Stop
from provisioning.services import break_glass
from tests.factories import (
    AccessRequestFactory,
    DecisionFactory,
    GrantFactory,
    GroupFactory,
    UserFactory,
)
from tests.rig.auditor import Auditor, enough
from tests.rig.cases import Violation
from tests.rig.rules import LONGEST_EMERGENCY, MEMBERS, ON_CALL, Rules

EVERYBODY = frozenset({1, 2, 3})


@pytest.mark.parametrize(
    ("stages", "people", "is_enough"),
    [
        ([(1, {1})], {1}, True),
        ([(1, {1})], {2}, False),
        ([(2, EVERYBODY)], {1, 2}, True),
        ([(2, EVERYBODY)], {1}, False),
        ([(1, {1, 2}), (1, {2})], {1, 2}, True),
        ([(1, {2}), (1, {2})], {1, 2}, False),
        ([], {1}, True),
    ],
)
def test_nobody_counts_in_two_stages(
    stages: list[tuple[int, frozenset[int]]], people: set[int], is_enough: bool
) -> None:
    assert enough(stages, people) is is_enough


# --- A run, in rows --------------------------------------------------------------------------


@pytest.fixture
def auditor(db: None, offer: Offer, alice: User, bob: User) -> Auditor:
    """Of a run in which bob or grace approve first, and one of the owners second."""
    for name in ("grace", "heidi", "ivan"):
        UserFactory.create(username=name)
    for name in MEMBERS:
        GroupFactory.create(name=name)
    bystander = GrantFactory.create(phase="active")
    since = bystander.request_id + 1
    return Auditor(Rules(offer, shape=1), since, 1, bystander)


@pytest.fixture
def asked(auditor: Auditor, offer: Offer, alice: User) -> AccessRequest:
    request: AccessRequest = AccessRequestFactory.create(
        offer=offer, requester=alice, approvals_needed=2, quorums=[1, 1]
    )
    tell(request, "pending", alice, minutes=30, starts_at=None)
    return request


def tell(request: AccessRequest, to: str, who: User, **data: object) -> None:
    append(
        kind=f"request:state:{to}",
        actor=who.username,
        subject=request.subject,
        sentence="It is told.",
        data={"request": request.code, **data},
    )


def granted(request: AccessRequest, *names: str, **values: Any) -> Grant:
    """Approved by these, whoever they are, and given."""
    for name in names:
        approver = User.objects.get(username=name)
        decision = DecisionFactory.create(request=request, approver=approver)
        tell(request, "approved", approver)
    AccessRequest.objects.filter(pk=request.pk).update(state="approved")
    grant: Grant = GrantFactory.create(request=request, decision=decision, **values)
    return grant


def test_access_after_enough_approvals_is_in_order(auditor: Auditor, asked: AccessRequest) -> None:
    granted(asked, "heidi", "bob")
    auditor.judge()


def test_approvals_by_people_of_one_stage_are_not_enough(
    auditor: Auditor, asked: AccessRequest
) -> None:
    # The database counts people, and does not know who belongs to which stage.
    granted(asked, "ivan", "bob")
    with pytest.raises(Violation, match="too few approvals"):
        auditor.judge()


def test_an_approval_that_no_event_tells_of_is_seen(auditor: Auditor, asked: AccessRequest) -> None:
    granted(asked, "heidi", "bob")
    DecisionFactory.create(request=asked, approver=User.objects.get(username="grace"))
    with pytest.raises(Violation, match="approvals without events"):
        auditor.judge()


@pytest.mark.parametrize("decides", [True, False])
def test_a_last_word_decides(decides: bool, auditor: Auditor, asked: AccessRequest) -> None:
    """Grace may not approve any more when bob does, so it waits; she may again later."""
    bob, grace = (User.objects.get(username=name) for name in ("bob", "grace"))
    for approver, again in ((grace, False), (bob, False), (bob, True)):
        decision = DecisionFactory.create(request=asked, approver=approver, again=again)
        tell(asked, "approved", approver)
    if decides:
        AccessRequest.objects.filter(pk=asked.pk).update(state="approved")
        GrantFactory.create(request=asked, decision=decision)
        auditor.judge()
        return
    with pytest.raises(Violation, match="a last word decided nothing"):
        auditor.judge()


def test_all_approvals_and_no_access_is_seen(auditor: Auditor, asked: AccessRequest) -> None:
    for name in ("bob", "grace"):
        DecisionFactory.create(request=asked, approver=(one := User.objects.get(username=name)))
        tell(asked, "approved", one)
    with pytest.raises(Violation, match="has all approvals and waits"):
        auditor.judge()


def test_a_later_end_than_was_approved_is_seen(auditor: Auditor, asked: AccessRequest) -> None:
    granted(asked, "heidi", "bob", ends_at=database_now() + timedelta(minutes=31))
    with pytest.raises(Violation, match="was approved until"):
        auditor.judge()


def press(person: User) -> None:
    """A red button that says of itself that it is done."""
    Stop.objects.create(
        scope="person",
        person=person,
        key=uuid4(),
        pressed_by="dana",
        reason="Keys are stolen.",
        finished_at=database_now(),
    )


def test_what_outlives_a_red_button_is_seen(
    auditor: Auditor, asked: AccessRequest, alice: User, charlie: User
) -> None:
    grant = granted(asked, "heidi", "bob")
    press(charlie)
    auditor.judge()

    press(alice)
    with pytest.raises(Violation, match=f"{grant.code}.*outlived the red button"):
        auditor.judge()


def test_what_is_written_after_a_red_button_is_finished_is_its_own(
    auditor: Auditor, asked: AccessRequest, alice: User
) -> None:
    """Whoever decides looks at the clock first; the red button is finished in between."""
    grant = granted(asked, "heidi", "bob")
    press(alice)
    stop = Stop.objects.get()
    for kind, subject in (("stop:finished", stop.subject), ("grant:phase:pending", grant.subject)):
        append(kind=kind, actor="sweeper", subject=subject, sentence="It is told.")
    auditor.judge()


def test_what_an_outsider_takes_is_seen(auditor: Auditor, offer: Offer, alice: User) -> None:
    group = Group.objects.get(name=ON_CALL)
    offer.break_glass_group, offer.break_glass_longest = group, LONGEST_EMERGENCY
    offer.save()
    # By rows, so that the run does not know of it.
    group.user_set.add(alice)
    break_glass.take(person=alice, offer=offer, duration=LONGEST_EMERGENCY, reason="INC-77.")

    with pytest.raises(Violation, match="was taken by an outsider"):
        auditor.judge()
    auditor.rules.note(auditor.bystander.starts_at - timedelta(minutes=1))
    auditor.judge()
