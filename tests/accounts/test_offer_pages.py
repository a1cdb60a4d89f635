"""Offers: who may ask for a profile on a pair, who approves, for how long."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from accounts.models import AccessProfile, AccountPair, Offer, Proposal, User
from accounts.services import proposals
from accounts.services.offers import StageWish, offer_on_each
from audit.models import AuditEvent
from tests.accounts.helpers import page, refused
from tests.conftest import ClientFor
from tests.factories import (
    AccessProfileFactory,
    AccountPairFactory,
    GroupFactory,
    OfferFactory,
    UserFactory,
    first_stage,
)

NEW = reverse("accounts:offer-new")
LIST = reverse("accounts:offers")


@pytest.fixture
def admin(dana: User, client_for: ClientFor) -> Client:
    return client_for(dana)


@pytest.fixture
def typed(pair: AccountPair, profile: AccessProfile, alice: User, bob: User) -> dict[str, Any]:
    """A complete form."""
    return {
        "pair": pair.pk,
        "profile": profile.pk,
        "max_duration": "90",
        "default_duration": "60",
        "request_lifetime": "1440",
        "sensitivity": "normal",
        "stage_1_quorum": "1",
        "eligible_users": [alice.pk],
        "stage_1_people": [bob.pk],
        "is_active": "on",
    }


def test_an_offer_is_made(admin: Client, typed: dict[str, Any], alice: User, bob: User) -> None:
    response = admin.post(NEW, typed)
    offer = Offer.objects.get()
    assert response["Location"] == offer.get_absolute_url()
    assert offer.max_duration == timedelta(minutes=90)
    assert (list(offer.eligible_users.all()), list(first_stage(offer).people.all())) == (
        [alice],
        [bob],
    )
    assert offer.is_active
    assert "1 h 30 min" in page(admin, LIST)
    event = AuditEvent.objects.get()
    assert event.kind == "offer:made"
    assert event.data["stages"] == [
        {"name": "Approval", "quorum": 1, "people": ["Bob Brandt"], "groups": []}
    ]


def test_groups_can_be_named_instead_of_people(admin: Client, typed: dict[str, Any]) -> None:
    team, board = GroupFactory.create(name="Team"), GroupFactory.create(name="Board")
    del typed["eligible_users"], typed["stage_1_people"]
    typed |= {"eligible_groups": [team.pk], "stage_1_groups": [board.pk]}
    assert admin.post(NEW, typed).status_code == 302
    offer = Offer.objects.get()
    assert (offer.eligible_groups.get(), first_stage(offer).groups.get()) == (team, board)


OUT_OF_BOUNDS = "Type a whole number from 5 to 10080."
BOUNDS = {
    "4": (OUT_OF_BOUNDS, "min_value"),
    "10081": (OUT_OF_BOUNDS, "max_value"),
    "an hour": (OUT_OF_BOUNDS, "invalid"),
    "": ("This field is required.", "required"),
}


@pytest.mark.parametrize("minutes", BOUNDS)
def test_the_longest_duration_is_within_bounds(
    admin: Client, typed: dict[str, Any], minutes: str
) -> None:
    told = refused(admin, NEW, typed | {"max_duration": minutes})
    assert told == {"max_duration": [BOUNDS[minutes]]}


@pytest.mark.parametrize("minutes", ["5", "10080"])
def test_the_bounds_themselves_are_taken(
    admin: Client, typed: dict[str, Any], minutes: str
) -> None:
    assert (
        admin.post(NEW, typed | {"max_duration": minutes, "default_duration": "5"}).status_code
        == 302
    )


def test_somebody_must_be_able_to_ask_and_to_approve(admin: Client, typed: dict[str, Any]) -> None:
    del typed["eligible_users"], typed["stage_1_people"]
    assert refused(admin, NEW, typed) == {
        "eligible_users": [("Name at least one person or group who may ask.", "nobody_may_ask")],
        "stage_1_people": [("Name at least one person or group who approves.", "nobody_approves")],
    }
    assert not Offer.objects.exists()


def test_a_profile_is_offered_once_on_a_pair(
    admin: Client, typed: dict[str, Any], offer: Offer
) -> None:
    assert refused(admin, NEW, typed) == {
        "profile": [("This profile is offered on this pair already.", "offer_is_unique")]
    }


def test_nobody_is_named_who_cannot_sign_in(
    admin: Client, typed: dict[str, Any], bob: User
) -> None:
    User.objects.filter(pk=bob.pk).update(is_active=False)
    message = f"Select a valid choice. {bob.pk} is not one of the available choices."
    assert refused(admin, NEW, typed) == {"stage_1_people": [(message, "invalid_choice")]}


def test_nothing_typed_is_lost_when_an_offer_is_refused(
    admin: Client, typed: dict[str, Any], alice: User
) -> None:
    del typed["stage_1_people"], typed["is_active"]
    typed |= {"max_duration": "3"}
    response = admin.post(NEW, typed)
    form = response.context["form"]
    assert form["max_duration"].value() == "3"
    assert form["is_active"].value() is False
    text = response.content.decode()
    assert f'value="{alice.pk}" id="id_eligible_users_0" checked' in text
    assert text.count(" selected>") == 4  # Pair, profile, no group twice.


# --- Changing --------------------------------------------------------------------------------


def _edit(offer: Offer) -> str:
    return reverse("accounts:offer-edit", args=[offer.pk])


def _kept(typed: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return {name: typed[name] for name in typed if name not in {"pair", "profile"}} | changed


def test_an_offer_can_be_changed_and_closed(
    admin: Client, offer: Offer, typed: dict[str, Any], charlie: User
) -> None:
    changed = _kept(typed, max_duration="60", eligible_users=[charlie.pk])
    del changed["is_active"]
    assert admin.post(_edit(offer), changed)["Location"] == offer.get_absolute_url()
    offer.refresh_from_db()
    assert (offer.max_duration, offer.is_active) == (timedelta(hours=1), False)
    assert offer.eligible_users.get() == charlie
    assert AuditEvent.objects.get().kind == "offer:changed"


@pytest.mark.parametrize("field", ["pair", "profile"])
def test_an_offer_keeps_its_pair_and_profile(
    admin: Client, offer: Offer, typed: dict[str, Any], field: str
) -> None:
    other = AccountPairFactory.create() if field == "pair" else AccessProfileFactory.create()
    told = refused(admin, _edit(offer), _kept(typed, **{field: other.pk}))
    assert told == {"__all__": [(f"This form has no field “{field}”.", "unknown_field")]}


def test_the_form_of_a_change_shows_what_is_stored(
    admin: Client, offer: Offer, alice: User, bob: User
) -> None:
    text = page(admin, _edit(offer))
    assert 'value="240"' in text
    assert text.count(" checked>") == 4
    assert "Alice Ashby (alice)" in text


def test_a_change_does_not_drop_somebody_who_was_switched_off(
    admin: Client, offer: Offer, typed: dict[str, Any], bob: User
) -> None:
    User.objects.filter(pk=bob.pk).update(is_active=False)
    assert "Bob Brandt (bob), switched off" in page(admin, _edit(offer))
    assert admin.post(_edit(offer), _kept(typed)).status_code == 302
    assert first_stage(offer).people.get() == bob


# --- Warnings --------------------------------------------------------------------------------


def test_the_only_approver_who_also_asks_is_a_warning_and_no_refusal(
    admin: Client, typed: dict[str, Any], bob: User
) -> None:
    response = admin.post(NEW, typed | {"eligible_users": [bob.pk]}, follow=True)
    assert response.status_code == 200
    assert response.context["warnings"] == [
        "Bob Brandt is the only approver and may ask as well. Nobody decides on their own "
        "request, so Bob Brandt cannot get this access until somebody else approves too."
    ]
    assert "alert-warning" in response.content.decode()


def test_a_second_approver_ends_the_warning(offer: Offer, bob: User, charlie: User) -> None:
    offer.eligible_users.add(bob)
    assert offer.warnings()
    first_stage(offer).people.add(charlie)
    assert offer.warnings() == []


def test_members_of_groups_count_as_approvers_and_requesters(bob: User) -> None:
    team = GroupFactory.create()
    team.user_set.add(bob)
    offer = OfferFactory.create(eligible_groups=[team], approver_groups=[team])
    assert len(offer.warnings()) == 1
    team.user_set.add(UserFactory.create())
    assert offer.warnings() == []


def test_a_group_of_nobody_is_a_warning(offer: Offer, alice: User) -> None:
    first_stage(offer).people.clear()
    first_stage(offer).groups.add(GroupFactory.create())
    assert offer.warnings() == [
        "Nobody can approve: the groups that do have no members who can sign in."
    ]
    first_stage(offer).people.add(UserFactory.create())
    offer.eligible_users.clear()
    assert offer.warnings() == [
        "Nobody can ask: the groups that may have no members who can sign in."
    ]


def test_a_closed_offer_warns_of_nothing(offer: Offer, bob: User) -> None:
    offer.eligible_users.add(bob)
    offer.is_active = False
    assert offer.warnings() == []


# --- Looking ---------------------------------------------------------------------------------


def test_the_form_waits_for_a_pair_and_a_profile(admin: Client) -> None:
    assert "An offer needs a pair and a profile" in page(admin, NEW)


def test_the_empty_list_says_what_to_do_next(
    admin: Client, erin: User, client_for: ClientFor
) -> None:
    assert f'href="{NEW}"' in page(admin, LIST)
    assert "An admin makes offers here." in page(client_for(erin), LIST)


def test_auditors_see_who_may_ask_and_who_approves(
    offer: Offer, erin: User, client_for: ClientFor
) -> None:
    first_stage(offer).groups.add(GroupFactory.create(name="Night shift"))
    for url in (LIST, offer.get_absolute_url()):
        text = page(client_for(erin), url)
        for name in ("Alice Ashby", "Bob Brandt", "Night shift"):
            assert name in text


# --- On several pairs ------------------------------------------------------------------------

SEVERAL = reverse("accounts:offers-on-pairs")


def test_several_offers_are_shown_first_and_made_then(
    admin: Client, typed: dict[str, Any], offer: Offer
) -> None:
    pairs = AccountPairFactory.create_batch(2)
    del typed["pair"]
    typed |= {"pairs": [offer.pair_id, *(one.pk for one in pairs)]}

    shown = admin.post(SEVERAL, typed)

    assert shown.status_code == 200
    assert shown.context["existing"] == [offer]
    assert set(shown.context["new_pairs"]) == set(pairs)
    assert Offer.objects.count() == 1

    typed["confirmed"] = shown.context["form"].to_confirm
    told = admin.post(SEVERAL, typed, follow=True)
    assert "2 offers are made." in told.content.decode()
    made = Offer.objects.exclude(pk=offer.pk)
    assert {one.pair for one in made} == set(pairs)
    assert {one.max_duration for one in made} == {timedelta(minutes=90)}
    assert {one.stages.get().people.get().username for one in made} == {"bob"}
    assert AuditEvent.objects.filter(kind="offer:made").count() == 2


def test_what_is_made_is_what_was_shown(
    admin: Client, typed: dict[str, Any], profile: AccessProfile
) -> None:
    pairs = AccountPairFactory.create_batch(2)
    del typed["pair"]
    typed |= {"pairs": [one.pk for one in pairs]}
    typed["confirmed"] = admin.post(SEVERAL, typed).context["form"].to_confirm
    OfferFactory.create(pair=pairs[0], profile=profile)

    again = admin.post(SEVERAL, typed)

    assert again.status_code == 200
    assert again.context["new_pairs"] == [pairs[1]]
    assert Offer.objects.count() == 1


def test_of_several_offers_all_are_made_or_none(
    admin: Client, typed: dict[str, Any], dana: User, alice: User
) -> None:
    first, second = AccountPairFactory.create_batch(2)
    profile = AccessProfile.objects.get()
    offers = [Offer(pair=one, profile=profile) for one in (first, second, first)]
    rules: dict[str, Any] = {
        "eligible_users": [alice],
        "stages": [StageWish(people=[dana])],
    }
    with pytest.raises(ValidationError):
        offer_on_each(actor="setup", offers=offers, rules=rules)
    assert not Offer.objects.exists()


def test_nobody_is_told_to_make_what_is_there(
    admin: Client, typed: dict[str, Any], offer: Offer
) -> None:
    del typed["pair"]
    text = admin.post(SEVERAL, typed | {"pairs": [offer.pair_id]}).content.decode()
    assert "every chosen pair has this profile already" in text
    assert refused(admin, SEVERAL, typed) == {"pairs": [("This field is required.", "required")]}


def test_with_a_second_admin_one_press_proposes_all_and_the_page_says_so(
    admin: Client, typed: dict[str, Any], frank: User, second_admin: None
) -> None:
    pairs = AccountPairFactory.create_batch(2)
    del typed["pair"]
    typed |= {"pairs": [one.pk for one in pairs], "proposal_reason": "Ticket 77."}

    shown = admin.post(SEVERAL, typed)
    text = shown.content.decode()
    assert "2 offers would be proposed" in text
    assert "offered once another admin has confirmed it" in text
    assert "Propose 2 offers" in " ".join(text.split())
    assert not Proposal.objects.exists()

    typed["confirmed"] = shown.context["form"].to_confirm
    told = admin.post(SEVERAL, typed, follow=True)

    assert told.redirect_chain == [(reverse("accounts:proposals"), 302)]
    assert "Nothing is offered yet: 2 proposals for a second admin." in told.content.decode()
    assert not Offer.objects.exists()
    waiting = list(Proposal.objects.open())
    assert {one.about for one in waiting} == {
        f"offer:new:{one.pk}:{typed['profile']}" for one in pairs
    }
    for one in waiting:
        proposals.confirm(admin=frank, proposal=one, reason="")
    assert {one.pair for one in Offer.objects.all()} == set(pairs)


def test_of_several_proposals_all_are_kept_or_none(
    admin: Client, typed: dict[str, Any], second_admin: None
) -> None:
    first, second = AccountPairFactory.create_batch(2)
    del typed["pair"]
    typed |= {"pairs": [second.pk], "proposal_reason": "Ticket 77."}
    typed["confirmed"] = str(second.pk)
    assert admin.post(SEVERAL, typed).status_code == 302

    typed |= {"pairs": [first.pk, second.pk]}
    typed["confirmed"] = admin.post(SEVERAL, typed).context["form"].to_confirm
    again = admin.post(SEVERAL, typed)

    assert again.status_code == 422
    errors = again.context["form"].errors.as_data()
    codes = {name: [one.code for one in found] for name, found in errors.items()}
    assert codes == {"__all__": ["proposal_one_open_per_subject"]}
    assert Proposal.objects.get().about == f"offer:new:{second.pk}:{typed['profile']}"


def test_several_proposals_need_a_reason(
    admin: Client, typed: dict[str, Any], pair: AccountPair, second_admin: None
) -> None:
    del typed["pair"]
    typed |= {"pairs": [pair.pk], "confirmed": str(pair.pk)}
    assert [code for _, code in refused(admin, SEVERAL, typed)["proposal_reason"]] == [
        "reason_missing"
    ]
    assert not Proposal.objects.exists()


def test_several_closed_offers_are_made_by_one_admin(
    admin: Client, typed: dict[str, Any], pair: AccountPair, second_admin: None
) -> None:
    del typed["pair"]
    typed.pop("is_active", None)
    typed |= {"pairs": [pair.pk], "confirmed": str(pair.pk)}
    assert "1 offer is made." in admin.post(SEVERAL, typed, follow=True).content.decode()
    assert Offer.objects.get().is_active is False
