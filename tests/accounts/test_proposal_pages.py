"""The pages of proposals, roles, groups and the second admin, as admins meet them."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from accounts.four_eyes.gate import Proposed
from accounts.models import Offer, Proposal, SecondAdmin, User
from accounts.services.second_admin import switch_second_admin
from tests.accounts.helpers import page, refused
from tests.conftest import ClientFor
from tests.factories import GroupFactory, OfferFactory, ProposalFactory, UserFactory

LIST = reverse("accounts:proposals")
SWITCH = reverse("accounts:second-admin")
NEW_GROUP = reverse("accounts:group-new")
WHY = "Ticket 77: the night shift starts."


@pytest.fixture
def as_dana(dana: User, client_for: ClientFor) -> Client:
    return client_for(dana)


@pytest.fixture
def as_frank(frank: User, client_for: ClientFor) -> Client:
    return client_for(frank)


@pytest.fixture
def typed(offer: Offer, alice: User, charlie: User, bob: User) -> dict[str, Any]:
    """The offer's form as it is, with charlie beside alice."""
    return {
        "max_duration": "240",
        "default_duration": "60",
        "request_lifetime": "24",
        "sensitivity": "normal",
        "eligible_users": [alice.pk, charlie.pk],
        "stage_1_quorum": "1",
        "stage_1_people": [bob.pk],
        "is_active": "on",
        "proposal_reason": WHY,
    }


def _edit(offer: Offer) -> str:
    return reverse("accounts:offer-edit", args=[offer.pk])


def _act(proposal: Proposal, verdict: str) -> str:
    return reverse(f"accounts:proposal-{verdict}", args=[proposal.pk])


def _main(response: Any) -> str:
    text = response.content.decode()
    return " ".join(text[text.index("<main") : text.index("</main>")].split())


def test_whoever_proposes_is_told_that_nothing_has_changed_and_who_can_confirm(
    as_dana: Client, frank: User, offer: Offer, typed: dict[str, Any], second_admin: None
) -> None:
    response = as_dana.post(_edit(offer), typed, follow=True)
    proposal = Proposal.objects.get()
    assert response.redirect_chain == [(proposal.get_absolute_url(), 302)]
    text = _main(response)
    assert "Nothing has changed yet: Change the offer" in text
    assert "It takes effect when Frank Fischer confirms it." in text
    assert "Charlie Castro (charlie) may ask from then on." in text
    assert _act(proposal, "withdraw") in text
    assert _act(proposal, "confirm") not in text
    assert offer.eligible_users.count() == 1
    assert "A change waits for a second admin" in page(as_dana, offer.get_absolute_url())


def test_the_form_asks_why_only_where_a_second_admin_reads_it(
    as_dana: Client, offer: Offer
) -> None:
    assert "for the second admin" not in page(as_dana, _edit(offer))
    SecondAdmin.objects.create(pk=1, state="on")
    assert "for the second admin" in page(as_dana, _edit(offer))


def test_without_a_reason_the_form_comes_back(
    as_dana: Client, offer: Offer, typed: dict[str, Any], second_admin: None
) -> None:
    told = refused(as_dana, _edit(offer), typed | {"proposal_reason": ""})
    assert told == {
        "proposal_reason": [
            (
                "Say why: this widens access, so a second admin reads it before they confirm.",
                "reason_missing",
            )
        ]
    }


def test_another_admin_sees_it_counted_and_confirms(
    as_dana: Client, as_frank: Client, offer: Offer, typed: dict[str, Any], second_admin: None
) -> None:
    as_dana.post(_edit(offer), typed)
    proposal = Proposal.objects.get()
    counted = '<span class="count">1</span>'
    assert counted in page(as_frank, LIST)
    assert counted not in page(as_dana, LIST)
    assert "What lets more happen" in page(as_frank, proposal.get_absolute_url())
    response = as_frank.post(_act(proposal, "confirm"), {"reason": ""}, follow=True)
    assert "Confirmed: the change is made." in _main(response)
    assert offer.eligible_users.count() == 2
    assert "Nothing waits for a second admin" in page(as_frank, LIST)
    assert proposal.title in page(as_frank, f"{LIST}?show=confirmed").replace("&#x27;", "'")


def test_a_rejection_says_why(as_frank: Client, dana: User) -> None:
    proposal = ProposalFactory.create(proposed_by=dana)
    assert refused(as_frank, _act(proposal, "reject"), {"reason": ""}) == {
        "reason": [("Say why: its proposer reads it.", "reason_missing")]
    }
    as_frank.post(_act(proposal, "reject"), {"reason": "Not now."})
    proposal.refresh_from_db()
    assert (proposal.state, proposal.decision_reason) == ("rejected", "Not now.")


def test_a_proposal_that_has_gone_stale_is_said_so_and_answers_409(
    as_frank: Client, dana: User, second_admin: None
) -> None:
    proposal = ProposalFactory.create(proposed_by=dana, fingerprint="0" * 64)
    assert "It cannot be confirmed any more." in page(as_frank, proposal.get_absolute_url())
    response = as_frank.post(_act(proposal, "confirm"), {"reason": ""})
    assert response.status_code == 409
    assert "Propose it anew." in _main(response)
    assert as_frank.post(_act(proposal, "confirm"), {"reason": ""}).status_code == 409


def test_a_confirmation_that_the_rules_refuse_is_told_and_stays_open(
    as_dana: Client, as_frank: Client, alice: User, second_admin: None
) -> None:
    typed = {"name": "Team", "members": [alice.pk], "proposal_reason": WHY}
    as_dana.post(NEW_GROUP, typed)
    proposal = Proposal.objects.get()
    GroupFactory.create(name="Team")
    told = refused(as_frank, _act(proposal, "confirm"), {"reason": ""})
    assert told == {"__all__": [("Group with this Name already exists.", "unique")]}
    proposal.refresh_from_db()
    assert proposal.state == "open"


@pytest.mark.parametrize(
    ("who", "verdict", "status"),
    [
        ("dana", "confirm", 403),
        ("dana", "reject", 403),
        ("frank", "withdraw", 403),
        ("erin", "confirm", 403),
        ("erin", "withdraw", 403),
        ("alice", "confirm", 403),
        ("dana", "withdraw", 302),
        ("frank", "reject", 302),
    ],
)
def test_who_may_do_what_to_danas_proposal(
    who: str,
    verdict: str,
    status: int,
    dana: User,
    frank: User,
    client_for: ClientFor,
    request: pytest.FixtureRequest,
) -> None:
    proposal = ProposalFactory.create(proposed_by=dana)
    client = client_for(request.getfixturevalue(who))
    assert client.post(_act(proposal, verdict), {"reason": "So."}).status_code == status


def test_the_list_shows_what_was_chosen_and_refuses_what_cannot_be(as_dana: Client) -> None:
    ProposalFactory.create(title="Make the group Night shift.")
    assert "Make the group Night shift." in page(as_dana, LIST)
    assert "No proposal matches" in page(as_dana, f"{LIST}?show=rejected")
    assert as_dana.get(f"{LIST}?show=nonsense").status_code == 422


def test_names_from_people_stay_text(as_dana: Client) -> None:
    ProposalFactory.create(title="Make the group <script>alert(1)</script>.")
    text = page(as_dana, LIST)
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text


def test_pages_cost_the_same_for_many_rows(
    as_dana: Client, frank: User, django_assert_max_num_queries: Any
) -> None:
    people = UserFactory.create_batch(30)
    team = GroupFactory.create()
    team.user_set.set(people)
    for offer in OfferFactory.create_batch(5):
        offer.eligible_groups.add(team)
    ProposalFactory.create_batch(30, proposed_by=frank)
    differences = [
        {
            "field": "members",
            "label": "Members",
            "before": "nobody",
            "after": "everybody",
            "direction": "widening",
            "sentence": "They join.",
        }
    ] * 20
    many = ProposalFactory.create(proposed_by=frank, differences=differences)
    urls = (
        LIST,
        many.get_absolute_url(),
        reverse("accounts:group", args=[team.pk]),
        reverse("accounts:person", args=[people[0].pk]),
    )
    for url in urls:
        with django_assert_max_num_queries(16):
            as_dana.get(url)


# --- The second admin -------------------------------------------------------------------------


def test_the_rule_is_switched_on_with_one_click_and_off_with_two(
    as_dana: Client, as_frank: Client
) -> None:
    assert "Switch it on" in page(as_dana, LIST)
    assert as_dana.post(SWITCH, {"reason": ""})["Location"] == LIST
    assert "Propose to switch it off" in page(as_dana, LIST)
    told = refused(as_dana, SWITCH, {"reason": ""})
    assert [code for _, code in told["reason"]] == ["reason_missing"]
    as_dana.post(SWITCH, {"reason": "It is in the way."})
    proposal = Proposal.objects.get()
    assert "has proposed to switch it off" in page(as_frank, LIST)
    as_frank.post(_act(proposal, "confirm"), {"reason": ""})
    assert SecondAdmin.objects.get().state == "off"


@pytest.mark.django_db(transaction=True)
def test_the_proposal_to_switch_it_off_can_be_looked_at(
    dana: User, as_frank: Client, second_admin: None
) -> None:
    """Outside a transaction, as a page is read: there PostgreSQL locks no row."""
    with pytest.raises(Proposed) as waiting:
        switch_second_admin(actor=dana, on=False, reason=WHY)
    assert "Switch the second admin off." in page(
        as_frank, waiting.value.proposal.get_absolute_url()
    )


def test_the_only_admin_is_told_why_it_cannot_be_switched_on(as_dana: Client) -> None:
    assert "There is one admin, who can set everything up alone." in page(as_dana, LIST)
    told = refused(as_dana, SWITCH, {"reason": ""})
    assert [code for _, code in told["__all__"]] == ["one_admin_only"]


def test_the_last_admin_left_is_told_what_to_do(as_dana: Client, second_admin: None) -> None:
    assert "manage.py createsuperuser" in page(as_dana, LIST)


# --- People and groups ------------------------------------------------------------------------


def test_an_admin_changes_a_role_here(as_dana: Client, alice: User) -> None:
    url = reverse("accounts:person", args=[alice.pk])
    assert as_dana.post(url, {"role": "auditor"})["Location"] == url
    alice.refresh_from_db()
    assert alice.role == "auditor"
    assert "Dana Dahl changed the user alice: auditor, can sign in." in page(as_dana, url)


def test_a_raised_role_waits(as_dana: Client, frank: User, alice: User, second_admin: None) -> None:
    url = reverse("accounts:person", args=[alice.pk])
    response = as_dana.post(url, {"role": "admin", "proposal_reason": WHY})
    assert response["Location"] == Proposal.objects.get().get_absolute_url()
    assert "A change waits for a second admin" in page(as_dana, url)
    alice.refresh_from_db()
    assert alice.role == "member"


def test_somebody_who_was_switched_off_is_let_in_again(as_dana: Client) -> None:
    off = UserFactory.create(is_active=False)
    url = reverse("accounts:person", args=[off.pk])
    assert "Can sign in" in page(as_dana, url)
    as_dana.post(url, {"role": "member", "is_active": "on"})
    off.refresh_from_db()
    assert off.is_active


def test_a_group_is_made_renamed_and_filled(as_dana: Client, alice: User) -> None:
    assert as_dana.post(NEW_GROUP, {"name": "Night shift"}).status_code == 302
    group = Group.objects.get()
    url = reverse("accounts:group", args=[group.pk])
    as_dana.post(url, {"name": "Day shift", "members": [alice.pk]})
    group.refresh_from_db()
    assert (group.name, list(group.user_set.all())) == ("Day shift", [alice])
    assert "Dana Dahl changed the group Day shift: alice joined." in page(as_dana, url)
    told = refused(as_dana, NEW_GROUP, {"name": "Day shift"})
    assert list(told) == ["name"]
    assert list(refused(as_dana, url, {"name": ""})) == ["name"]


def test_the_page_of_a_group_says_what_its_members_get(
    as_dana: Client, offer: Offer, bob: User
) -> None:
    team = GroupFactory.create(name="Team")
    offer.eligible_groups.add(team)
    url = reverse("accounts:group", args=[team.pk])
    text = page(as_dana, url)
    assert str(offer) in text.replace("&#x27;", "'").replace("<wbr>", "")
    assert "In an emergency" not in text

    offer.break_glass_group, offer.break_glass_longest = team, timedelta(hours=1)
    offer.save()

    text = " ".join(page(as_dana, url).split())
    _, emergency = text.split("In an emergency")
    assert "Members may take this access at once, without a decision." in emergency
    assert str(offer) in emergency.replace("<wbr>", "")
    assert f'href="{offer.get_absolute_url()}"' in emergency
    assert "closed" not in emergency
    assert re.search("Decide on</dt> <dd> *<span class=.muted.>Nothing", text)

    Offer.objects.update(is_active=False)
    _, emergency = page(as_dana, url).split("In an emergency")
    assert "closed" in emergency
