"""The catalogue, and asking: searched, starred, filled in by a link, several in one go."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import AccountPair, FavouriteOffer, Offer, User
from audit.models import AuditEvent
from provisioning.forms.asking import AskForm
from provisioning.models import AccessRequest
from tests.conftest import ClientFor
from tests.factories import (
    AccessRequestFactory,
    ApprovalStageFactory,
    GroupFactory,
    OfferFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db
CATALOGUE = reverse("provisioning:offers")


def ask_url(offer: Offer) -> str:
    return reverse("provisioning:ask", args=[offer.pk])


def found(client: Any, words: str) -> list[Offer]:
    page = client.get(CATALOGUE, {"q": words})
    assert page.status_code == 200
    return [row.offer for row in page.context["catalogue"].rows]


# --- Finding ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", ["workload", "2222", "prod-eu", "security", "WORKLOAD read-only", "identity 2222"]
)
def test_an_offer_is_found_by_account_id_alias_and_profile(
    words: str, offer: Offer, alice: User, bob: User, client_for: ClientFor
) -> None:
    offer.pair.target.alias = "prod-eu"
    offer.pair.target.save()
    OfferFactory.create(eligible_users=[alice], approver_users=[bob])
    assert found(client_for(alice), words) == [offer]


def test_every_word_must_match_and_a_miss_says_so(
    offer: Offer, alice: User, client_for: ClientFor
) -> None:
    client = client_for(alice)
    assert found(client, "workload elsewhere") == []
    assert "Nothing found" in client.get(CATALOGUE, {"q": "%"}).content.decode()
    assert found(client, "x" * 5000) == []


def test_what_no_database_can_look_for_is_refused(alice: User, client_for: ClientFor) -> None:
    page = client_for(alice).get(CATALOGUE, {"q": "work\0load"})
    assert page.status_code == 400


def _many(pair: AccountPair, alice: User, number: int) -> None:
    team = GroupFactory.create()
    team.user_set.add(alice, *UserFactory.create_batch(2))
    for _ in range(number):
        OfferFactory.create(
            pair__source=pair.source, eligible_users=[alice], approver_groups=[team]
        )


def test_the_catalogue_takes_the_same_number_of_queries_for_any_number_of_offers(
    offer: Offer, alice: User, client_for: ClientFor
) -> None:
    client = client_for(alice)
    counts = []
    for number in (2, 30):
        _many(offer.pair, alice, number)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            page = client.get(CATALOGUE)
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert len(page.context["catalogue"].rows) == 24
    last = page.context["page"].next
    with CaptureQueriesContext(connection) as queries:
        rest = client.get(CATALOGUE, {"after": last})
    assert len(rest.context["catalogue"].rows) == 9
    assert (counts[0], len(queries)) == (13, 13)


def _pages(client: Any, link: str, address: dict[str, str]) -> list[list[int]]:
    """The offers of a page and of all that its links lead to, `next` or `previous`."""
    found = []
    while True:
        page = client.get(CATALOGUE, address).context["page"]
        found.append([one.pk for one in page.rows])
        mark = getattr(page, link)
        if not mark:
            return found
        address = {"after" if link == "next" else "before": mark}


def test_pages_of_the_catalogue_leave_none_out_though_names_are_equal(
    offer: Offer, alice: User, client_for: ClientFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provisioning.reading.catalogue.PAGE", 2)
    same = {"pair__target": offer.pair.target, "profile": offer.profile}
    for where in (same, {"pair__target__name": "Zeta"}, same, {"pair__target__name": "alpha"}):
        OfferFactory.create(eligible_users=[alice], **where)
    client = client_for(alice)
    by_name = Offer.objects.order_by("pair__target__name", "profile__name", "pk")
    in_order = list(by_name.values_list("pk", flat=True))

    pages = _pages(client, "next", {})
    assert pages == [in_order[:2], in_order[2:4], in_order[4:]]
    back = _pages(client, "previous", {"before": str(in_order[4])})
    assert back == [in_order[2:4], in_order[:2]]

    # What is closed meanwhile moves nothing.
    Offer.objects.filter(pk=in_order[0]).update(is_active=False)
    page = client.get(CATALOGUE, {"after": str(in_order[1])}).context["page"]
    assert [one.pk for one in page.rows] == in_order[2:4]
    empty = client.get(CATALOGUE, {"after": str(in_order[4])}).content.decode()
    assert "Nothing is left on this page" in empty


def test_emergencies_are_searched_too_and_never_all_on_one_page(
    offer: Offer, alice: User, client_for: ClientFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provisioning.reading.catalogue.EMERGENCIES", 2)
    on_call, client = GroupFactory.create(name="On call"), client_for(alice)
    alice.groups.add(on_call)
    for name in ("Third", "First", "Second"):
        OfferFactory.create(
            pair__target__name=name,
            break_glass_group=on_call,
            break_glass_longest=timedelta(minutes=30),
        )

    def shown(words: str) -> tuple[list[str], bool]:
        page = client.get(CATALOGUE, {"q": words})
        text = page.content.decode()
        links = re.findall(r"Break the glass: .+? in (\w+)<", text)
        return links, "There are more. Search for the account that you need." in text

    assert shown("") == (["First", "Second"], True)
    assert shown("third") == (["Third"], False)
    assert shown("elsewhere") == ([], False)


def test_a_page_goes_on_from_an_offer_that_the_person_may_know_of_and_from_nothing_else(
    offer: Offer, alice: User, client_for: ClientFor
) -> None:
    hidden = OfferFactory.create()
    client = client_for(alice)
    for address in (f"after={hidden.pk}", "after=0", "after=x", "before=1-2", "page=2"):
        assert client.get(f"{CATALOGUE}?{address}").status_code == 400, address


def test_what_was_starred_or_asked_for_lately_comes_first(
    offer: Offer, alice: User, bob: User, client_for: ClientFor
) -> None:
    client, other = client_for(alice), OfferFactory.create(eligible_users=[alice])
    AccessRequestFactory.create(offer=other, requester=alice, state="rejected")
    star = reverse("provisioning:star", args=[offer.pk])

    told = client.post(star, {"wanted": "yes", "back": f"{CATALOGUE}?q=workload"})
    assert told["Location"] == f"{CATALOGUE}?q=workload"

    shown = client.get(CATALOGUE).context["catalogue"]
    assert (shown.starred, shown.recent) == ([offer], [other])
    client.post(star, {"wanted": "no", "back": "https://elsewhere.example/"})
    assert not FavouriteOffer.objects.exists()
    assert client_for(bob).post(star, {"wanted": "yes"}).status_code == 404
    assert not AuditEvent.objects.exists()


def test_an_offer_shown_to_everybody_says_why_not_and_whom_to_ask(
    offer: Offer, charlie: User, client_for: ClientFor
) -> None:
    client = client_for(charlie)
    assert client.get(ask_url(offer)).status_code == 404
    assert found(client, "") == []

    Offer.objects.filter(pk=offer.pk).update(is_listed=True)

    assert found(client, "") == [offer]
    words = "This offer is not open to you. Ask an admin to name you on it."
    for url in (CATALOGUE, ask_url(offer)):
        assert words in client.get(url).content.decode()
    told = client.post(ask_url(offer), {"duration": "30", "reason": "x"})
    assert told.status_code == 422
    assert words in told.content.decode()
    assert not AccessRequest.objects.exists()


def test_some_admins_are_named_where_something_is_refused_and_nowhere_else(
    offer: Offer, alice: User, charlie: User, dana: User, client_for: ClientFor
) -> None:
    Offer.objects.filter(pk=offer.pk).update(is_listed=True)
    for number in range(1, 5):
        UserFactory.create(first_name="Zoe", last_name=f"Z{number}", role=User.Role.ADMIN)
    UserFactory.create(first_name="Aaron", role=User.Role.ADMIN, is_active=False)
    UserFactory.create(first_name="Aaron", role=User.Role.AUDITOR)
    named = ["Dana Dahl", "Zoe Z1", "Zoe Z2"]

    for url in (CATALOGUE, ask_url(offer)):
        told = client_for(charlie).get(url)
        assert [one.label for one in told.context["admins"]] == named
        text = " ".join(told.content.decode().split())
        assert f"Admins whom you can ask: {', '.join(named)} </p>" in text
        assert client_for(alice).get(url).context["admins"] == []


# --- Asking ----------------------------------------------------------------------------------


def test_the_form_begins_with_the_usual_duration_and_its_presets_end_with_the_longest(
    offer: Offer, alice: User, client_for: ClientFor
) -> None:
    Offer.objects.update(max_duration=timedelta(minutes=50))
    form = client_for(alice).get(ask_url(offer)).context["form"]
    assert form["duration"].value() == "50 min"
    words = [one["words"] for one in form.duration_rows[0]["presets"]]
    assert words == ["15 min", "30 min", "50 min"]


FRIDAY = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("typed", "minutes"),
    [
        ({"duration": "90 min"}, 90),
        ({"duration": "2h"}, 120),
        ({"duration": "until 14:00"}, 120),
        ({"duration": "until 14:00", "zone": "Europe/Berlin"}, 60),
        ({"duration": "until 16:30", "starts_at": "2026-11-27T15:00"}, 90),
        (
            {"duration": "1h", "starts_at": "2026-11-27T15:00", "zone": "Europe/Berlin"},
            60,
        ),
    ],
)
def test_free_input_is_read_in_the_time_zone_of_the_person(
    typed: dict[str, str], minutes: int, offer: Offer
) -> None:
    form = AskForm([offer], FRIDAY, typed | {"reason": "x"})
    assert form.is_valid(), form.errors
    assert form.durations == {offer.pk: timedelta(minutes=minutes)}
    if "starts_at" in typed:
        hour = 14 if "zone" in typed else 15
        assert form.cleaned_data["starts_at"] == FRIDAY.replace(hour=hour)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (
            {"duration": "until 14:00"},
            "2 h, until Fri 27 Nov, 14:00 UTC if it is approved now: the time starts with the "
            "approval.",
        ),
        (
            {"duration": "until 16:00", "starts_at": "2026-11-27T15:00", "zone": "Europe/Berlin"},
            "1 h, until Fri 27 Nov, 16:00 in Europe/Berlin, Fri 27 Nov, 15:00 UTC.",
        ),
        ({"duration": "soon"}, "Write it such as 90 min"),
        ({"duration": "9 d"}, "Choose between 5 min and 4 h"),
        ({"duration": "1h", "zone": "Mars/Olympus"}, "This time zone is not known."),
        ({"duration": "1h", "starts_at": "never"}, "Write a date and a time"),
        (
            {"duration": "1h", "starts_at": "0001-01-01T00:00", "zone": "Europe/Berlin"},
            "Write a date and a time",
        ),
        ({"duration": "until 18:00", "starts_at": "9999-12-31T23:59"}, "Write a date and a time"),
        ({"duration": "90"}, "1 h 30 min"),
        ({}, "This field is required."),
    ],
)
def test_what_is_being_typed_is_read_back_in_words(
    typed: dict[str, str], words: str, offer: Offer, alice: User, client_for: ClientFor
) -> None:
    url = reverse("provisioning:read-duration", args=[offer.pk])
    with patch("provisioning.views.catalogue.database_now", return_value=FRIDAY):
        page = client_for(alice).get(url, typed)
    assert page.status_code == 200
    assert words in page.content.decode()


def test_a_link_fills_the_form_in_and_sends_nothing(
    offer: Offer, alice: User, client_for: ClientFor
) -> None:
    query = {"duration": "90 min", "reason": "Release 12", "ticket": "OPS-1", "verdict": "approved"}
    page = client_for(alice).get(ask_url(offer), query)
    form = page.context["form"]
    assert [form[name].value() for name in ("duration", "reason", "ticket")] == [
        "90 min",
        "Release 12",
        "OPS-1",
    ]
    assert page.context["wrong_in_link"] == []
    assert not AccessRequest.objects.exists()


def test_what_of_a_link_is_not_possible_is_told_and_left_out(
    offer: Offer, alice: User, client_for: ClientFor
) -> None:
    query = {"duration": "9 d", "reason": "two\x1blines", "zone": "Mars/Olympus"}
    page = client_for(alice).get(ask_url(offer), query | {"ticket": "OPS-1"})
    assert page.status_code == 200
    form = page.context["form"]
    assert (form["duration"].value(), form["reason"].value()) == ("1 h", None)
    assert form["ticket"].value() == "OPS-1"
    assert "is not possible here, and was left out" in page.content.decode()


def test_a_ticket_that_is_demanded_is_told_at_its_field(
    offer: Offer, alice: User, client_for: ClientFor
) -> None:
    Offer.objects.update(
        ticket_required=True, ticket_pattern="OPS-[0-9]+", ticket_hint="an issue such as OPS-12"
    )
    client = client_for(alice)
    values = {"duration": "30", "reason": "x"}
    missing = client.post(ask_url(offer), values)
    assert missing.status_code == 422
    assert missing.context["form"].errors == {"ticket": ["This field is required."]}
    malformed = client.post(ask_url(offer), values | {"ticket": "12"})
    assert malformed.status_code == 422
    assert malformed.context["form"].errors == {
        "ticket": ["This is no ticket as this offer wants it. Expected is an issue such as OPS-12."]
    }
    assert client.post(ask_url(offer), values | {"ticket": "OPS-3"}).status_code == 302


def test_who_can_approve_is_shown_by_stage_with_the_warning_before_sending(
    offer: Offer, alice: User, charlie: User, client_for: ClientFor
) -> None:
    ApprovalStageFactory.create(offer=offer, name="Account owner", people=[charlie])
    Offer.objects.update(sensitivity="high", warning="Holds the data of customers.")
    text = client_for(alice).get(ask_url(offer)).content.decode()
    for words in (
        "2 different people must approve, one stage after the other",
        "Account owner",
        "Charlie Castro",
        "High sensitivity",
        "Holds the data of customers.",
    ):
        assert words in text


def test_asking_again_takes_one_click_from_what_is_over(
    offer: Offer, alice: User, bob: User, client_for: ClientFor
) -> None:
    asked = AccessRequestFactory.create(offer=offer, requester=alice, reason="Why & how?")
    url, link = asked.get_absolute_url(), f"{ask_url(offer)}?duration=30+min&amp;reason=Why+%26+how"
    assert link not in client_for(alice).get(url).content.decode()
    AccessRequest.objects.update(state="rejected")
    assert link in client_for(alice).get(url).content.decode()
    assert link not in client_for(bob).get(url).content.decode()


def test_the_request_page_says_which_rules_held(
    offer: Offer, alice: User, bob: User, erin: User, client_for: ClientFor
) -> None:
    client_for(alice).post(ask_url(offer), {"duration": "30", "reason": "x"})
    asked = AccessRequest.objects.get()
    for person in (alice, bob, erin):
        text = client_for(person).get(asked.get_absolute_url()).content.decode()
        assert "Which rules held" in text
        assert "Alice Ashby is named as one who may ask." in text
        assert "1 person of Bob Brandt must approve." in text


# --- Several in one go -----------------------------------------------------------------------

TOGETHER = reverse("provisioning:ask-together")


def test_several_offers_are_asked_for_with_one_reason(
    offer: Offer, alice: User, bob: User, client_for: ClientFor
) -> None:
    other = OfferFactory.create(
        pair__source=offer.pair.source, eligible_users=[alice], approver_users=[bob]
    )
    client, url = client_for(alice), f"{TOGETHER}?offer={offer.pk}&offer={other.pk}"
    assert client.get(url).status_code == 200

    values = {f"duration_{offer.pk}": "30", f"duration_{other.pk}": "2h", "reason": "Release"}
    told = client.post(url, values, follow=True)

    assert "2 requests are with the approvers." in told.content.decode()
    asked = AccessRequest.objects.order_by("pk")
    assert [(one.offer, one.duration) for one in asked] == [
        (offer, timedelta(minutes=30)),
        (other, timedelta(hours=2)),
    ]
    page = client.get(asked[0].get_absolute_url()).content.decode()
    assert "Asked for in the same go" in page
    assert str(other).split(" on ")[0] in page


def test_of_several_what_is_wrong_is_told_at_its_field_and_nothing_is_sent(
    offer: Offer, alice: User, client_for: ClientFor
) -> None:
    other = OfferFactory.create(pair__source=offer.pair.source, eligible_users=[alice])
    url = f"{TOGETHER}?offer={offer.pk}&offer={other.pk}"
    values = {f"duration_{offer.pk}": "30", f"duration_{other.pk}": "9 h", "reason": "Release"}
    page = client_for(alice).post(url, values)
    assert page.status_code == 422
    assert list(page.context["form"].errors) == [f"duration_{other.pk}"]

    # Nobody approves the other one: refused by its name, and the first is not sent either.
    page = client_for(alice).post(url, values | {f"duration_{other.pk}": "1 h"})
    assert page.status_code == 422
    assert f"{other}: Nobody else can approve this offer." in page.content.decode()
    assert not AccessRequest.objects.exists()


@pytest.mark.parametrize("query", ["", "offer=", "offer=x", "offer=-1", "offer=9" * 3, "offer=²"])
def test_offers_that_do_not_exist_are_not_found(
    query: str, offer: Offer, alice: User, client_for: ClientFor
) -> None:
    assert client_for(alice).get(f"{TOGETHER}?{query}").status_code == 404


def test_one_that_is_not_open_hides_all(
    offer: Offer, alice: User, charlie: User, client_for: ClientFor
) -> None:
    hidden = OfferFactory.create()
    url = f"{TOGETHER}?offer={offer.pk}&offer={hidden.pk}"
    assert client_for(alice).get(url).status_code == 404
    assert client_for(charlie).get(url).status_code == 404
    single = client_for(alice).get(f"{TOGETHER}?offer={offer.pk}")
    assert single["Location"] == ask_url(offer)
