"""Offers that ask two different people, of one and the same plan."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.urls import reverse

from accounts.models import ApprovalStage, Offer, ProfileVersion, User
from accounts.services.offers import StageWish, save_offer
from accounts.services.profiles import add_profile_version
from audit.clock import database_now
from audit.models import AuditEvent
from provisioning import approvals, authz, services, specs
from provisioning.core.plan import fingerprint
from provisioning.engine.converge import converge
from provisioning.lifecycle import StaleState
from provisioning.models import AccessRequest, Decision, Grant
from tests.conftest import ClientFor
from tests.factories import (
    AccessRequestFactory,
    DecisionFactory,
    OfferFactory,
    ProfileVersionFactory,
    UserFactory,
    first_stage,
)
from tests.provisioning.services.test_races import at_once, winners

pytestmark = pytest.mark.django_db
YES, NO = Decision.Verdict.APPROVED, Decision.Verdict.REJECTED


@pytest.fixture
def second(db: None) -> User:
    return UserFactory.create(username="frank", first_name="Frank", last_name="Fox")


@pytest.fixture
def strict(offer: Offer, second: User) -> Offer:
    """The offer of the scene where two must approve; bob and frank do."""
    first_stage(offer).people.add(second)
    offer.stages.update(quorum=2)
    offer.refresh_from_db()
    return offer


@pytest.fixture
def asked(strict: Offer, alice: User) -> AccessRequest:
    return AccessRequestFactory.create(offer=strict, requester=alice, approvals_needed=2)


def seen(request: AccessRequest) -> str:
    fresh = AccessRequest.objects.with_parties().get(pk=request.pk)
    return fingerprint(specs.spec_for_request(fresh))


def say(person: User, request: AccessRequest, verdict: Decision.Verdict = YES) -> Grant | None:
    return services.decide(
        approver=person, request=request, verdict=verdict, fingerprint=seen(request), reason="x"
    )


def test_one_approval_is_not_enough_and_the_second_gives(
    asked: AccessRequest, bob: User, second: User
) -> None:
    assert say(bob, asked) is None
    asked.refresh_from_db()
    assert (asked.state, asked.decision) == ("pending", None)

    grant = say(second, asked)

    assert grant is not None
    asked.refresh_from_db()
    assert asked.state == "approved"
    assert asked.decision is not None
    assert asked.decision.approver == second
    kinds = list(AuditEvent.objects.order_by("id").values_list("kind", "sentence"))
    assert kinds[0] == ("request:approval", "Bob Brandt approved the request (1 of 2 approvals).")
    assert kinds[1] == (
        "request:state:approved",
        "Frank Fox approved the request (2 of 2 approvals).",
    )


def test_the_same_approver_counts_once(asked: AccessRequest, bob: User) -> None:
    say(bob, asked)
    with pytest.raises(services.Refused, match="You have decided on this plan already"):
        say(bob, asked)
    assert not Grant.objects.exists()


def test_the_first_rejection_ends_it(asked: AccessRequest, bob: User, second: User) -> None:
    say(bob, asked)
    say(second, asked, NO)
    asked.refresh_from_db()
    assert asked.state == "rejected"
    assert not Grant.objects.exists()


@pytest.mark.parametrize("who", ["alice", "charlie", "dana", "erin"])
def test_nobody_else_gives_the_second_approval(
    who: str, asked: AccessRequest, bob: User, request: pytest.FixtureRequest
) -> None:
    say(bob, asked)
    with pytest.raises(services.Refused):
        say(request.getfixturevalue(who), asked)
    assert not Grant.objects.exists()


def test_a_requester_named_as_approver_does_not_count(
    asked: AccessRequest, strict: Offer, alice: User, bob: User
) -> None:
    first_stage(strict).people.add(alice)
    say(bob, asked)
    with pytest.raises(services.Refused, match="Nobody decides on their own request"):
        say(alice, asked)


def test_a_changed_plan_voids_the_first_approval(
    asked: AccessRequest, strict: Offer, bob: User, second: User
) -> None:
    say(bob, asked)
    target = strict.pair.target
    target.boundary_arn = f"arn:aws:iam::{target.account_id}:policy/Another"
    target.save()

    assert say(second, asked) is None
    tally = approvals.tally(AccessRequest.objects.with_parties().get(pk=asked.pk), seen(asked))
    assert [one.approver for one in tally.counted] == [second]
    assert [one.approver for one in tally.void] == [bob]
    assert tally.words == "1 of 2 approvals"

    assert say(bob, asked) is not None


def test_a_quorum_raised_later_holds_for_what_waits(
    offer: Offer, second: User, alice: User, bob: User
) -> None:
    first_stage(offer).people.add(second)
    asked = AccessRequestFactory.create(offer=offer, requester=alice)
    offer.stages.update(quorum=2)
    assert say(bob, asked) is None
    assert say(second, asked) is not None


def test_a_quorum_lowered_later_does_not(asked: AccessRequest, strict: Offer, bob: User) -> None:
    strict.stages.update(quorum=1)
    assert say(bob, asked) is None


def test_permissions_that_are_risky_by_now_need_two_whatever_the_offer_says(
    offer: Offer, alice: User, bob: User
) -> None:
    ProfileVersionFactory.create(profile=offer.profile, managed_policies=["PowerUserAccess"])
    asked = AccessRequestFactory.create(offer=offer, requester=alice)
    first_stage(offer).people.add(UserFactory.create())
    assert say(bob, asked) is None


def test_too_few_approvers_are_told_before_asking(strict: Offer, alice: User, bob: User) -> None:
    first_stage(strict).people.set([bob])
    answer = authz.can_request(alice, strict)
    ((_, listed),) = authz.can_request_each(alice, [strict])
    assert answer == listed
    assert answer.reasons[0].startswith("This offer needs two approvers")
    assert any("nobody can get this access" in one for one in strict.warnings())


@pytest.mark.parametrize("loss", ["switched off", "no approver"])
def test_a_worker_asks_again_whether_both_still_approve(
    loss: str, asked: AccessRequest, strict: Offer, bob: User, second: User
) -> None:
    say(bob, asked)
    grant = say(second, asked)
    assert grant is not None
    if loss == "switched off":
        User.objects.filter(pk=bob.pk).update(is_active=False)
    else:
        first_stage(strict).people.remove(bob)

    converge(grant.pk)

    grant.refresh_from_db()
    assert grant.revoked_by == "system:worker"
    assert "approver" in grant.revoke_reason
    assert grant.phase == "ended"


# --- The database ----------------------------------------------------------------------------


def _grant(request: AccessRequest, mark: str) -> Grant:
    now = database_now()
    return Grant.objects.create(
        request=request,
        code=request.code,
        identity=request.identity,
        profile_version=request.profile_version,
        starts_at=now,
        ends_at=now + request.duration,
        fingerprint=mark,
    )


def test_an_offer_that_asks_for_more_in_the_moment_of_a_decision_is_told_as_that(
    offer: Offer, alice: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = AccessRequestFactory.create(offer=offer, requester=alice)
    # What the approver's process had read before.
    before = approvals.standing(AccessRequest.objects.with_parties().get(pk=asked.pk))
    monkeypatch.setattr(approvals, "standing", lambda request: replace(before, request=request))
    offer.stages.update(quorum=2)

    with pytest.raises(StaleState, match=r"^Something has changed in this very moment\."):
        say(bob, asked)
    assert not Decision.objects.exists()


@pytest.mark.parametrize("marks", [[], ["a"], ["a", "b"]])
def test_the_database_wants_two_approvals_of_the_plan(
    marks: list[str], asked: AccessRequest, bob: User, second: User
) -> None:
    for person, mark in zip([bob, second], marks, strict=False):
        DecisionFactory.create(request=asked, approver=person, fingerprint=mark * 64)
    with pytest.raises(IntegrityError, match="grant_needs_an_approval"):
        _grant(asked, "a" * 64)


def test_the_database_takes_two(asked: AccessRequest, bob: User, second: User) -> None:
    for person in (bob, second):
        DecisionFactory.create(request=asked, approver=person)
    assert _grant(asked, "0" * 64).pk


def test_the_database_takes_no_grant_beside_a_rejection(
    asked: AccessRequest, bob: User, second: User
) -> None:
    for person in (bob, second):
        DecisionFactory.create(request=asked, approver=person)
    DecisionFactory.create(request=asked, verdict="rejected")
    with pytest.raises(IntegrityError, match="grant_needs_an_approval"):
        _grant(asked, "0" * 64)


def test_the_database_takes_one_verdict_of_a_person_on_a_plan(
    asked: AccessRequest, bob: User
) -> None:
    DecisionFactory.create(request=asked, approver=bob)
    with pytest.raises(IntegrityError, match="decision_once_per_plan"):
        DecisionFactory.create(request=asked, approver=bob)


def test_how_many_approvals_a_request_needs_never_changes(asked: AccessRequest) -> None:
    with pytest.raises(IntegrityError, match="request_keeps_its_approvals"), transaction.atomic():
        AccessRequest.objects.filter(pk=asked.pk).update(approvals_needed=1)


def test_a_request_pins_at_least_what_its_offer_says(strict: Offer, alice: User) -> None:
    with pytest.raises(IntegrityError, match="request_needs_what_its_offer_says"):
        AccessRequestFactory.create(offer=strict, requester=alice, approvals_needed=1)


# --- Offers and versions ---------------------------------------------------------------------

RISKY = {"role_name": "Power", "managed_policies": ["PowerUserAccess"]}


def test_a_risky_version_is_refused_while_one_approver_is_enough_somewhere(
    offer: Offer, dana: User
) -> None:
    with pytest.raises(ValidationError) as caught:
        add_profile_version(actor=dana, profile=offer.profile, version=ProfileVersion(**RISKY))
    assert caught.value.error_dict["managed_policies"][0].code == "standard_offers"
    assert str(offer) in caught.value.messages[0]

    ApprovalStage.objects.update(quorum=2)
    add_profile_version(actor=dana, profile=offer.profile, version=ProfileVersion(**RISKY))
    assert offer.profile.versions.count() == 2


def test_a_risky_profile_is_offered_only_where_two_approve(
    offer: Offer, dana: User, alice: User, bob: User
) -> None:
    ProfileVersionFactory.create(profile=offer.profile, **RISKY)
    one: dict[str, Any] = {"eligible_users": [alice], "stages": [StageWish(people=[bob])]}
    two: dict[str, Any] = {
        "eligible_users": [alice],
        "stages": [StageWish(people=[bob], quorum=2)],
    }
    with pytest.raises(ValidationError) as caught:
        save_offer(actor=dana, offer=offer, **one)
    assert caught.value.error_dict["stage_1_quorum"][0].code == "too_few_approvals"

    offer.is_active = False
    save_offer(actor=dana, offer=offer, **one)
    offer.is_active = True
    save_offer(actor=dana, offer=offer, **two)


# --- Pages -----------------------------------------------------------------------------------


def test_pages_show_how_far_the_approvals_are(
    asked: AccessRequest, bob: User, second: User, client_for: ClientFor
) -> None:
    url = f"/requests/{asked.code}/"
    post = {"verdict": "approved", "fingerprint": seen(asked), "reason": "Fine."}
    first = client_for(bob)
    told = first.post(f"{url}decide/", post, follow=True).content.decode()
    assert "One more approver decides." in told
    assert "1 of 2 approvals" in told
    assert "Bob Brandt approved" in told
    assert 'id="decide"' not in told
    assert first.post(f"{url}decide/", post).status_code == 409
    assert "You approved" in first.get("/approvals/?show=approved").content.decode()

    other = client_for(second)
    assert "1 of 2 approvals" in other.get("/approvals/").content.decode()
    assert 'id="decide"' in other.get(url).content.decode()
    told = other.post(f"{url}decide/", post, follow=True).content.decode()
    assert "2 of 2 approvals" in told


def test_every_page_says_what_the_permissions_amount_to(
    asked: AccessRequest, strict: Offer, alice: User, bob: User, dana: User, client_for: ClientFor
) -> None:
    for person, url in (
        (alice, reverse("provisioning:ask", args=[strict.pk])),
        (bob, f"/requests/{asked.code}/"),
        (dana, strict.get_absolute_url()),
        (dana, strict.profile.get_absolute_url()),
    ):
        page = client_for(person).get(url)
        assert page.status_code == 200, url
        assert "Reads stored data of Amazon S3" in page.content.decode(), url


@pytest.mark.django_db(transaction=True)
def test_two_approvers_in_the_same_moment_both_count(offer: Offer, alice: User, bob: User) -> None:
    people = [bob, *UserFactory.create_batch(3)]
    first_stage(offer).people.set(people)
    ApprovalStage.objects.update(quorum=2)
    asked = AccessRequestFactory.create(offer=offer, requester=alice, approvals_needed=2)
    shown = seen(asked)

    def approve(person: User) -> Callable[[], Grant | None]:
        return lambda: services.decide(
            approver=person, request=asked, verdict=YES, fingerprint=shown
        )

    answers = at_once(*(approve(one) for one in [*people, bob, bob]))

    assert winners(answers) == 2
    assert Decision.objects.values("approver").distinct().count() == Decision.objects.count() == 2
    assert Grant.objects.count() == 1
    assert AuditEvent.objects.filter(kind="request:approval").count() == 1


def test_a_standard_request_needs_nobody_else(offer: Offer, alice: User, bob: User) -> None:
    other = OfferFactory.create(pair__source=offer.pair.source, eligible_users=[alice])
    asked = AccessRequestFactory.create(offer=other, requester=alice)
    first_stage(other).people.set([bob])
    assert say(bob, asked) is not None
    with pytest.raises((services.Refused, StaleState)):
        say(bob, asked)
