"""Break-glass: at once, shorter, loud, and open until two others have reviewed it."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from accounts.models import Offer, User
from audit.clock import database_now
from audit.models import AuditEvent
from provisioning import authz, lifecycle, services
from provisioning.engine import converge
from provisioning.lifecycle import StaleState
from provisioning.models import AccessRequest, BreakGlass, Grant, Review
from provisioning.services import break_glass, red_button, retire
from provisioning.services.common import Refused
from tests.aws_world import Aws
from tests.conftest import ClientFor
from tests.factories import (
    AccessRequestFactory,
    DecisionFactory,
    GrantFactory,
    GroupFactory,
    first_stage,
)

pytestmark = pytest.mark.django_db
HALF_HOUR = timedelta(minutes=30)


@pytest.fixture
def on_call(offer: Offer, alice: User) -> Group:
    """Alice is on call, and the offer lets people on call take it for an hour."""
    group = GroupFactory.create(name="On call")
    alice.groups.add(group)
    offer.break_glass_group, offer.break_glass_longest = group, timedelta(hours=1)
    offer.save()
    return group


def take(person: User, offer: Offer, duration: timedelta = HALF_HOUR) -> Grant:
    return break_glass.take(
        person=person, offer=offer, duration=duration, reason="Production is down, INC-77."
    )


def review(person: User, grant: Grant, verdict: Review.Verdict = Review.Verdict.JUSTIFIED) -> bool:
    return break_glass.review(
        person=person, request=grant.request, verdict=verdict, note="The incident was real."
    )


@pytest.fixture
def over(on_call: Group, offer: Offer, alice: User, erin: User) -> Grant:
    """What alice took, and has given back."""
    grant = take(alice, offer)
    services.revoke(person=alice, grant=grant, reason="")
    return Grant.objects.with_parties().get(pk=grant.pk)


# --- Taking ----------------------------------------------------------------------------------


def test_a_member_has_the_access_at_once_with_a_loud_event(
    on_call: Group, scene: Offer, aws: Aws, alice: User
) -> None:
    grant = take(alice, scene)
    converge.converge(grant.pk)

    grant.refresh_from_db()
    assert (grant.phase, grant.ends_at - grant.starts_at <= HALF_HOUR) == ("active", True)
    aws.reads(aws.enter("userA", f"arn:aws:iam::222222222222:role/sallyport/{grant.role_name}"))
    told = AuditEvent.objects.get(kind="grant:breakglass:started")
    assert (told.actor, told.subject) == ("alice", grant.subject)
    assert told.reason == "Production is down, INC-77."
    assert told.data["minutes"] == 30
    assert not grant.request.decisions.exists()


def test_a_request_that_nobody_answered_does_not_stand_in_the_way(
    on_call: Group, offer: Offer, alice: User
) -> None:
    waiting = AccessRequestFactory.create(offer=offer, requester=alice)

    take(alice, offer)

    waiting.refresh_from_db()
    assert waiting.state == "pending"


@pytest.mark.parametrize(
    ("who", "reason"),
    [
        ("bob", "This offer does not let you take access in an emergency."),
        ("charlie", "This offer does not let you take access in an emergency."),
        ("dana", "This offer does not let you take access in an emergency."),
        ("erin", "Auditors read everything and change nothing."),
    ],
)
def test_nobody_else_may(
    who: str, reason: str, on_call: Group, offer: Offer, request: pytest.FixtureRequest
) -> None:
    with pytest.raises(Refused) as caught:
        take(request.getfixturevalue(who), offer)

    assert reason in caught.value.reasons
    refusal = AuditEvent.objects.get(kind="grant:breakglass:refused")
    assert (refusal.actor, refusal.subject) == (who, offer.subject)
    assert not Grant.objects.exists()


def test_an_offer_without_a_group_lets_nobody(offer: Offer, alice: User) -> None:
    with pytest.raises(Refused, match="does not let you take access in an emergency"):
        take(alice, offer)


@pytest.mark.parametrize("minutes", [4, 61, -5])
def test_it_lasts_shorter_than_the_offer_allows_otherwise(
    minutes: int, on_call: Group, offer: Offer, alice: User
) -> None:
    with pytest.raises(ValidationError) as caught:
        take(alice, offer, timedelta(minutes=minutes))

    assert caught.value.message_dict == {
        "minutes": ["Choose between 5 and 60 minutes: more needs an approval."]
    }


def test_nobody_takes_twice_what_they_have(on_call: Group, offer: Offer, alice: User) -> None:
    take(alice, offer)

    with pytest.raises(Refused, match=r"^You have this access already\.$"):
        take(alice, offer)


def test_access_that_begins_tomorrow_does_not_stand_in_the_way(
    on_call: Group, offer: Offer, alice: User
) -> None:
    begins = database_now() + timedelta(days=1)
    request = AccessRequestFactory.create(offer=offer, requester=alice, state="approved")
    GrantFactory.create(request=request, phase="scheduled", starts_at=begins)

    assert take(alice, offer).phase == "pending"


def test_it_is_not_extended(on_call: Group, offer: Offer, alice: User) -> None:
    grant = take(alice, offer)
    Grant.objects.update(phase="active")
    grant = Grant.objects.with_parties().get(pk=grant.pk)

    answer = authz.can_extend(alice, grant, database_now())

    words = "What was taken in an emergency is not extended. Ask for the offer instead."
    assert answer.reasons == (words,)


def test_a_red_button_and_its_pause_hold_here_too(
    on_call: Group, offer: Offer, alice: User, dana: User
) -> None:
    grant = take(alice, offer)
    red_button.press(
        actor=dana,
        thing=alice,
        key="3b0c9a52-1d3a-4d4e-9c55-6a6a2b9b6a10",  # type: ignore[arg-type]  # Text will do.
        confirmation="alice",
        reason="Keys were stolen.",
        pause=True,
    )

    grant.refresh_from_db()
    assert grant.revoked_by == "dana"
    with pytest.raises(Refused, match="Ask an admin to lift the pause"):
        take(alice, offer)


def _leave_group(alice: User, offer: Offer) -> None:
    alice.groups.clear()


def _shorten(alice: User, offer: Offer) -> None:
    Offer.objects.update(break_glass_longest=timedelta(minutes=10))


def _close(alice: User, offer: Offer) -> None:
    Offer.objects.update(is_active=False)


def _forbid(alice: User, offer: Offer) -> None:
    Offer.objects.update(break_glass_group=None, break_glass_longest=None)


def _switch_off(alice: User, offer: Offer) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)


NO_LONGER = "The offer no longer lets the requester take this access in an emergency."


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_leave_group, NO_LONGER),
        (_shorten, "The offer allows less time in an emergency by now."),
        (_close, NO_LONGER),
        (_forbid, NO_LONGER),
        (
            _switch_off,
            "The requester or the approver has been switched off since the decision.",
        ),
    ],
)
def test_the_worker_looks_again_before_it_gives(
    change: Any, words: str, on_call: Group, scene: Offer, aws: Aws, alice: User
) -> None:
    grant = take(alice, scene)
    change(alice, scene)

    converge.converge(grant.pk)

    grant.refresh_from_db()
    assert (grant.revoked_by, grant.revoke_reason) == ("system:worker", words)
    assert aws.issued_roles("222222222222") == []


def test_a_closed_offer_lets_nobody_take_it(on_call: Group, offer: Offer, alice: User) -> None:
    _close(alice, offer)
    with pytest.raises(Refused) as caught:
        take(alice, offer)
    assert caught.value.reasons == ("This offer does not let you take access in an emergency.",)
    assert not Grant.objects.exists()


def test_what_was_given_in_an_emergency_goes_on_when_its_offer_is_closed(
    on_call: Group, scene: Offer, aws: Aws, alice: User
) -> None:
    grant = take(alice, scene)
    converge.converge(grant.pk)
    _close(alice, scene)

    converge.converge(grant.pk)

    grant.refresh_from_db()
    assert (grant.phase, grant.revoked_at) == ("active", None)


@pytest.mark.parametrize("retired", ["offer", "person"])
def test_what_was_taken_ends_with_its_offer_or_person_and_is_reviewed_all_the_same(
    retired: str, on_call: Group, scene: Offer, aws: Aws, alice: User, bob: User, dana: User
) -> None:
    grant = take(alice, scene)
    converge.converge(grant.pk)
    thing = scene if retired == "offer" else alice

    retire.retire(
        actor=dana, thing=thing, confirmation=retire.name_of(thing), reason="Never again."
    )
    converge.converge(grant.pk)

    grant = Grant.objects.with_parties().get(pk=grant.pk)
    assert (grant.phase, grant.revoked_by) == ("ended", "dana")
    assert aws.issued_roles("222222222222") == []
    assert [review(one, grant) for one in (bob, dana)] == [False, True]


# --- What the database lets be ---------------------------------------------------------------


@pytest.mark.parametrize("forged", ["stranger", "longer", "closed", "other group", "scheduled"])
def test_the_database_refuses_an_emergency_that_its_offer_does_not_allow(
    forged: str, on_call: Group, offer: Offer, alice: User, charlie: User
) -> None:
    values: dict[str, Any] = {"offer": offer, "requester": alice, "duration": HALF_HOUR}
    group = on_call
    if forged == "stranger":
        values["requester"] = charlie
    if forged == "longer":
        values["duration"] = timedelta(minutes=61)
    if forged == "closed":
        Offer.objects.update(is_active=False)
    if forged == "other group":
        group = GroupFactory.create()
        alice.groups.add(group)
    if forged == "scheduled":
        values["starts_at"] = database_now() + timedelta(days=1)
    request = AccessRequestFactory.create(**values, state="approved")

    rule = "break_glass_follows_its_offer"
    with pytest.raises(IntegrityError, match=rule), transaction.atomic():
        BreakGlass.objects.create(
            request=request, group=group, fingerprint="0" * 64, taken_at=database_now()
        )


def test_the_database_refuses_a_grant_of_another_plan_than_was_taken(
    on_call: Group, offer: Offer, alice: User
) -> None:
    request = AccessRequestFactory.create(offer=offer, requester=alice, state="approved")
    BreakGlass.objects.create(
        request=request, group=on_call, fingerprint="1" * 64, taken_at=database_now()
    )

    with pytest.raises(IntegrityError, match="grant_needs_an_approval"), transaction.atomic():
        GrantFactory.create(
            request=request,
            decision=DecisionFactory.build(request=request),
            fingerprint="0" * 64,
        )


def test_the_database_closes_nothing_without_two_reviews_of_others(over: Grant, bob: User) -> None:
    taken = BreakGlass.objects.filter(request=over.request)
    review(bob, over)
    for change, rule in (
        ({"closed_at": database_now()}, "break_glass_closes_with_two_reviews"),
        ({"fingerprint": "1" * 64}, "break_glass_is_immutable"),
    ):
        with pytest.raises(IntegrityError, match=rule), transaction.atomic():
            taken.update(**change)
    with (
        pytest.raises(IntegrityError, match="break_glass_is_never_deleted"),
        transaction.atomic(),
    ):
        taken._raw_delete("default")
    with pytest.raises(IntegrityError, match="review_is_by_another"), transaction.atomic():
        Review.objects.create(
            taken=taken.get(), reviewer=over.requester, verdict="justified", note="I was right."
        )
    with pytest.raises(IntegrityError, match="review_is_immutable"), transaction.atomic():
        Review.objects.update(note="Another.")
    with pytest.raises(IntegrityError, match="review_once_per_person"), transaction.atomic():
        Review.objects.create(taken=taken.get(), reviewer=bob, verdict="justified", note="Again.")


@pytest.mark.parametrize("longest", [None, timedelta(hours=4), timedelta(minutes=4)])
def test_an_offer_needs_a_shorter_time_for_emergencies(
    longest: timedelta | None, on_call: Group, offer: Offer
) -> None:
    rule = "offer_break_glass_is_shorter"
    with pytest.raises(IntegrityError, match=rule), transaction.atomic():
        Offer.objects.filter(pk=offer.pk).update(break_glass_longest=longest)


# --- Reviewing -------------------------------------------------------------------------------


def test_it_stays_open_until_two_others_have_reviewed_it(
    over: Grant, bob: User, dana: User
) -> None:
    assert review(bob, over) is False
    assert BreakGlass.objects.open().count() == 1

    assert review(dana, over, Review.Verdict.UNJUSTIFIED) is True

    assert not BreakGlass.objects.open().exists()
    told = AuditEvent.objects.about(over.subject).filter(kind__startswith="grant:breakglass")
    assert [one.kind.rpartition(":")[2] for one in told] == [
        "started",
        "reviewed",
        "reviewed",
        "closed",
    ]
    assert told[3].data["verdicts"] == ["justified", "unjustified"]


def test_a_late_review_finds_it_closed(over: Grant, bob: User, dana: User, charlie: User) -> None:
    first_stage(over.request.offer).people.add(charlie)
    stale = Review(
        taken=BreakGlass.objects.get(), reviewer=charlie, verdict="justified", note="Late."
    )
    review(bob, over)
    review(dana, over)

    with pytest.raises(StaleState, match=r"^Two others have reviewed this meanwhile\.$"):
        lifecycle.review(stale, now=database_now())


@pytest.mark.parametrize(
    ("who", "reason"),
    [
        ("alice", "Nobody reviews their own emergency."),
        ("charlie", "Only an approver of the offer or an admin can."),
        ("erin", "Auditors read everything and change nothing."),
    ],
)
def test_who_may_not_review(
    who: str, reason: str, over: Grant, request: pytest.FixtureRequest
) -> None:
    with pytest.raises(Refused) as caught:
        review(request.getfixturevalue(who), over)

    assert reason in caught.value.reasons
    assert not Review.objects.exists()


def test_nobody_reviews_twice_nor_before_it_is_over(
    on_call: Group, offer: Offer, alice: User, bob: User
) -> None:
    grant = take(alice, offer)
    with pytest.raises(Refused, match="It is reviewed once it is over; you can revoke it"):
        review(bob, grant)
    services.revoke(person=bob, grant=grant, reason="Enough.")
    review(bob, Grant.objects.get(pk=grant.pk))

    with pytest.raises(Refused, match="Somebody else must review it too"):
        review(bob, Grant.objects.get(pk=grant.pk))


def test_a_review_that_is_sent_twice_at_once_counts_once(
    over: Grant, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    review(bob, over)
    # What the second of two processes had read before.
    monkeypatch.setattr(authz, "can_review", lambda *asked: authz.Answer())

    with pytest.raises(StaleState, match=r"^Something has changed in this very moment\."):
        review(bob, over)
    assert Review.objects.count() == 1


# --- Pages -----------------------------------------------------------------------------------


def test_who_may_open_and_post_what(
    over: Grant,
    offer: Offer,
    alice: User,
    bob: User,
    charlie: User,
    dana: User,
    erin: User,
    client_for: ClientFor,
) -> None:
    people = [None, alice, bob, charlie, dana, erin]
    form, code = f"/offers/{offer.pk}/break-glass/", over.code

    def gets(url: str) -> list[int]:
        return [client_for(one).get(url).status_code for one in people]

    def posts(url: str, values: dict[str, str]) -> list[int]:
        return [client_for(one).post(url, values).status_code for one in people]

    assert gets(form) == [302, 200, 404, 404, 404, 404]
    assert gets("/break-glass/") == [302, 200, 200, 200, 200, 200]
    assert posts(form, {}) == [302, 422, 404, 404, 404, 404]
    assert posts(f"/requests/{code}/review/", {}) == [302, 422, 422, 404, 422, 422]
    said = {"finding": "justified", "note": "Real."}
    assert posts(f"/requests/{code}/review/", said) == [302, 403, 302, 404, 302, 403]
    assert posts(f"/requests/{code}/review/", said) == [302, 403, 409, 404, 409, 403]


def test_from_the_form_to_the_closed_review(
    on_call: Group, offer: Offer, alice: User, bob: User, dana: User, client_for: ClientFor
) -> None:
    browser, form = client_for(alice), f"/offers/{offer.pk}/break-glass/"
    assert form in browser.get("/offers/").content.decode()
    shown = browser.get(form).content.decode()

    page = browser.post(form, {"minutes": "30", "reason": "INC-77."}, follow=True)

    assert "Break the glass" in shown
    assert "CreateRole" in shown
    text = page.content.decode()
    assert "You broke the glass. Everybody who approves this is told." in text
    assert "Alice Ashby took Security read-only in an emergency" in text
    assert "Nobody approved this: On call may take it at once." in text
    for person in (bob, dana):
        assert "1 emergency to review" in client_for(person).get("/approvals/").content.decode()
        listed = client_for(person).get("/break-glass/").content.decode()
        assert "INC-77." in listed
    assert "to review" not in client_for(alice).get("/approvals/").content.decode()


@pytest.mark.parametrize(
    ("typed", "field", "message"),
    [
        ({"minutes": "61"}, "__all__", "Choose between 5 and 60 minutes: more needs an approval."),
        ({"minutes": "9" * 30}, "__all__", "Choose between 5 and 60 minutes: more needs an"),
        ({"reason": ""}, "reason", "This field is required."),
    ],
)
def test_bad_input_takes_nothing(
    typed: dict[str, str],
    field: str,
    message: str,
    on_call: Group,
    offer: Offer,
    alice: User,
    client_for: ClientFor,
) -> None:
    values = {"minutes": "30", "reason": "INC-77."} | typed

    page = client_for(alice).post(f"/offers/{offer.pk}/break-glass/", values)

    assert page.status_code == 422
    errors = page.context["form"].errors
    assert message in (errors.get(field) or errors["minutes"])[0]
    assert not AccessRequest.objects.exists()
