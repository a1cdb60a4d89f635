"""A request that has enough approvals and waits all the same: one last word decides it.

It comes about where an approver loses the right and gets it back, or where less is asked for.
"""

from collections.abc import Callable

import pytest
from django.db import IntegrityError

from accounts.models import Offer, User
from audit.models import AuditEvent
from notices.gather import gather
from notices.models import Notice
from provisioning import approvals, authz, services, specs, tasks
from provisioning.core.plan import fingerprint
from provisioning.lifecycle.grants import start_grant
from provisioning.models import AccessRequest, Decision, Grant
from provisioning.sweep import Sweeper
from tests.conftest import ClientFor
from tests.factories import ApprovalStageFactory, DecisionFactory, UserFactory, first_stage
from tests.notices.conftest import send_mail

pytestmark = pytest.mark.django_db
YES, NO = Decision.Verdict.APPROVED, Decision.Verdict.REJECTED
MISSING = "{}, and one last word is missing"


def fresh(request: AccessRequest) -> AccessRequest:
    return AccessRequest.objects.with_parties().get(pk=request.pk)


def mark(request: AccessRequest) -> str:
    return fingerprint(specs.spec_for_request(fresh(request)))


def say(person: User, request: AccessRequest, verdict: Decision.Verdict = YES) -> Grant | None:
    return services.decide(
        approver=User.objects.get(pk=person.pk),
        request=fresh(request),
        verdict=verdict,
        fingerprint=mark(request),
    )


@pytest.fixture(autouse=True)
def no_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers take every nudge, so no sweep looks into the accounts of an AWS that another test of
    this process has started: what it says there would keep these requests from being approved."""
    monkeypatch.setattr(tasks, "nudge", lambda *what, **how: True)


@pytest.fixture
def carol(db: None) -> User:
    return UserFactory.create(username="carol", first_name="Carol", last_name="Cole")


@pytest.fixture
def strict(offer: Offer, carol: User) -> Offer:
    """Two of bob, carol and frank must approve."""
    first_stage(offer).people.add(carol, UserFactory.create(username="frank"))
    offer.stages.update(quorum=2)
    offer.refresh_from_db()
    return offer


@pytest.fixture
def asked(strict: Offer, alice: User) -> AccessRequest:
    return services.request_access(
        requester=alice, offer=strict, duration=strict.max_duration, reason="x"
    )


@pytest.fixture
def left_over(asked: AccessRequest, bob: User, carol: User) -> AccessRequest:
    """Bob approves, is switched off while carol approves, and is switched on again."""
    gather()
    say(bob, asked)
    User.objects.filter(pk=bob.pk).update(is_active=False)
    assert say(carol, asked) is None
    Sweeper().sweep()
    User.objects.filter(pk=bob.pk).update(is_active=True)
    return fresh(asked)


def names(people: frozenset[int]) -> set[str]:
    return set(User.objects.filter(pk__in=people).values_list("username", flat=True))


def waits_for(request: AccessRequest) -> set[str]:
    asking = AccessRequest.objects.asking
    return {
        one.username
        for one in User.objects.filter(is_active=True)
        if asking(one).filter(pk=request.pk)
    }


def told_again() -> AuditEvent | None:
    return AuditEvent.objects.filter(kind="request:stage", data__again=True).last()


def test_nothing_is_granted_and_the_stage_is_asked_once_more(left_over: AccessRequest) -> None:
    Sweeper().sweep()

    assert fresh(left_over).state == "pending"
    assert not Grant.objects.exists()
    assert names(approvals.asked_now(left_over)) == {"bob", "carol", "frank"}
    assert waits_for(left_over) == {"bob", "carol", "frank"}
    event = told_again()
    assert event is not None
    assert (event.actor, event.subject) == ("system:sweeper", left_over.subject)
    assert event.sentence == (
        "Enough approvals count without a decision: the stage “Approval” is asked once more, and "
        "one approval decides."
    )


def test_it_is_said_once_each_time(left_over: AccessRequest, bob: User) -> None:
    def times() -> int:
        Sweeper().sweep()
        return AuditEvent.objects.filter(kind="request:stage", data__again=True).count()

    assert (times(), times()) == (1, 1)
    User.objects.filter(pk=bob.pk).update(is_active=False)
    assert times() == 1
    assert waits_for(left_over) == {"frank"}
    User.objects.filter(pk=bob.pk).update(is_active=True)
    assert times() == 2


def test_everybody_who_may_decide_is_told_although_they_were_told_before(
    left_over: AccessRequest,
) -> None:
    Sweeper().sweep()
    gather()

    told = Notice.objects.filter(event=told_again(), topic="asked")
    assert {one.person.username for one in told if one.person} == {"bob", "carol", "frank"}


def test_the_mail_says_why_they_are_asked_again(
    left_over: AccessRequest, mailoutbox: list[object]
) -> None:
    Sweeper().sweep()
    gather()
    send_mail()

    bodies = [one.body.replace("\n", " ") for one in mailoutbox]  # type: ignore[attr-defined]
    assert any("One more approval decides, also by somebody who has" in one for one in bodies)


@pytest.mark.parametrize("who", ["bob", "carol", "frank"])
def test_one_more_approval_by_any_of_them_decides(who: str, left_over: AccessRequest) -> None:
    person = User.objects.get(username=who)

    grant = say(person, left_over)

    assert grant is not None
    assert approvals.lost_since(grant) == ""
    request = fresh(left_over)
    assert request.decision is not None
    assert (request.decision.approver, request.decision.again) == (person, who != "frank")
    event = AuditEvent.objects.get(kind="request:state:approved")
    did = "approved" if who == "frank" else "approved once more"
    assert event.actor == who
    assert event.sentence == f"{person.label} {did} the request (2 of 2 approvals)."
    tally = approvals.tally(request, grant.fingerprint)
    assert len(tally.counted) == (3 if who == "frank" else 2)


def test_whoever_approved_before_may_reject_it_now(left_over: AccessRequest, bob: User) -> None:
    assert say(bob, left_over, NO) is None
    assert fresh(left_over).state == "rejected"


def test_it_is_asked_again_without_waiting_for_the_sweeper(
    left_over: AccessRequest, bob: User, client_for: ClientFor
) -> None:
    page = client_for(bob).get(left_over.get_absolute_url()).content.decode()
    assert "One last word is missing." in page
    Sweeper().sweep()
    inbox = client_for(bob).get("/approvals/").content.decode()
    assert MISSING.format("2 of 2 approvals") in inbox

    sent = {"verdict": "approved", "fingerprint": mark(left_over), "reason": ""}
    client_for(bob).post(f"{left_over.get_absolute_url()}decide/", sent)

    page = client_for(bob).get(left_over.get_absolute_url()).content.decode()
    assert "approved once more" in page
    assert fresh(left_over).state == "approved"


def test_whoever_asked_reads_why_it_waits_although_enough_have_approved(
    left_over: AccessRequest, alice: User, client_for: ClientFor
) -> None:
    page = client_for(alice).get(left_over.get_absolute_url()).content.decode()

    assert f"<b>{MISSING.format('2 of 2 approvals')}</b>" in page
    assert "One more approval decides, and the approvers have been asked for it." in page


def test_where_one_is_enough_by_now_it_does_not_read_as_if_it_had_decided(
    offer: Offer, alice: User, bob: User, carol: User, client_for: ClientFor
) -> None:
    first_stage(offer).people.add(carol)
    asked = services.request_access(
        requester=alice, offer=offer, duration=offer.max_duration, reason="x"
    )
    offer.stages.update(quorum=2)
    say(bob, asked)
    offer.stages.update(quorum=1)

    page = client_for(alice).get(asked.get_absolute_url()).content.decode()

    assert f"<b>{MISSING.format('1 of 1 approval')}</b>" in page
    assert "<b>Approved</b> by" not in page


def test_an_approval_of_who_is_away_is_not_one_of_an_earlier_plan(
    left_over: AccessRequest, alice: User, bob: User, client_for: ClientFor
) -> None:
    User.objects.filter(pk=bob.pk).update(is_active=False)

    page = client_for(alice).get(left_over.get_absolute_url()).content.decode()

    assert "<b>1 of 2 approvals</b>" in page
    assert "It does not count at present: they may not approve this any more" in page
    assert "an earlier plan" not in page


def left_the_group(request: AccessRequest, bob: User) -> None:
    first_stage(request.offer).people.remove(bob)


def switched_off(request: AccessRequest, bob: User) -> None:
    User.objects.filter(pk=bob.pk).update(is_active=False)


@pytest.mark.parametrize("lost", [left_the_group, switched_off])
def test_who_may_not_any_more_has_no_last_word(
    lost: Callable[[AccessRequest, User], None], left_over: AccessRequest, bob: User, carol: User
) -> None:
    lost(left_over, bob)

    with pytest.raises(services.Refused):
        say(bob, left_over)
    # One approval is missing again, and carol's is there already.
    with pytest.raises(services.Refused, match="You have decided on this plan already"):
        say(carol, left_over)
    assert not Grant.objects.exists()


def test_the_requester_has_no_last_word(left_over: AccessRequest, alice: User) -> None:
    first_stage(left_over.offer).people.add(alice)
    with pytest.raises(services.Refused, match="Nobody decides on their own request"):
        say(alice, left_over)


def test_only_the_last_stage_is_asked_once_more(
    asked: AccessRequest, bob: User, carol: User
) -> None:
    frank, grace = User.objects.get(username="frank"), UserFactory.create(username="grace")
    ApprovalStageFactory.create(offer=asked.offer, name="Owners", people=[grace, bob])
    say(bob, asked)
    say(carol, asked)
    User.objects.filter(pk=carol.pk).update(is_active=False)
    say(frank, asked)
    # Bob counts with the owners now, as soon as carol fills her place again.
    User.objects.filter(pk=carol.pk).update(is_active=True)
    Sweeper().sweep()

    assert fresh(asked).stage == 2
    assert waits_for(asked) == names(approvals.asked_now(fresh(asked))) == {"bob", "grace"}
    with pytest.raises(services.Refused, match="You have decided on this plan already"):
        say(frank, asked)
    assert say(bob, asked) is not None


def test_less_that_is_asked_for_decides_nothing_by_itself(
    asked: AccessRequest, bob: User, carol: User
) -> None:
    asked.offer.stages.update(quorum=3)
    say(bob, asked)
    say(carol, asked)
    asked.offer.stages.update(quorum=2)
    Sweeper().sweep()

    assert fresh(asked).state == "pending"
    assert say(carol, asked) is not None


def test_the_requesters_rights_are_asked_for_again(
    left_over: AccessRequest, bob: User, alice: User
) -> None:
    left_over.offer.eligible_users.remove(alice)
    with pytest.raises(services.Refused, match="not open to you"):
        say(bob, left_over)


def test_a_last_word_on_a_plan_that_one_has_not_approved_is_refused_by_the_database(
    asked: AccessRequest, bob: User
) -> None:
    DecisionFactory.create(request=asked, approver=bob, fingerprint="a" * 64)
    with pytest.raises(IntegrityError, match="decision_again_follows_an_approval"):
        DecisionFactory.create(request=asked, approver=bob, fingerprint="b" * 64, again=True)


@pytest.mark.parametrize("again", [False, True])
def test_nobody_says_the_same_twice(again: bool, asked: AccessRequest, bob: User) -> None:
    DecisionFactory.create(request=asked, approver=bob)
    if again:
        DecisionFactory.create(request=asked, approver=bob, again=True)
    with pytest.raises(IntegrityError, match="decision_once_per_plan"):
        DecisionFactory.create(request=asked, approver=bob, again=again)


def test_the_database_counts_a_last_word_as_nobody_more(asked: AccessRequest, bob: User) -> None:
    for again in (False, True):
        DecisionFactory.create(request=asked, approver=bob, fingerprint=mark(asked), again=again)
    with pytest.raises(IntegrityError, match="grant_needs_an_approval"):
        start_grant(fresh(asked), fingerprint=mark(asked), actor="bob", now=asked.asked_at)


def test_authz_says_who_may(left_over: AccessRequest, bob: User, charlie: User) -> None:
    assert authz.can_decide(bob, left_over, left_over.asked_at).allowed
    assert authz.can_decide(charlie, left_over, left_over.asked_at).reasons == (
        "You are not an approver of this offer.",
    )
