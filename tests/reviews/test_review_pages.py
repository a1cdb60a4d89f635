"""The pages of reviews: every address by every person, and what each of them is shown."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import get_resolver, reverse

from accounts.models import Offer, User
from audit.clock import database_now
from reviews import services
from reviews.models import Campaign, Item
from tests.accounts.helpers import page, refused
from tests.conftest import ClientFor
from tests.factories import GrantFactory, UserFactory
from tests.navigation import astray

LIST = reverse("reviews:campaigns")
NEW = reverse("reviews:new")
PEOPLE = ("alice", "bob", "charlie", "dana", "erin")
PAGES: dict[str, dict[str, int]] = {
    # bob and charlie review, dana started it.
    "campaigns": dict.fromkeys(PEOPLE, 200),
    "new": {"alice": 403, "bob": 403, "charlie": 403, "dana": 200, "erin": 403},
    "campaign": {"alice": 404, "bob": 200, "charlie": 200, "dana": 200, "erin": 200},
    "decide": dict.fromkeys(PEOPLE, 405),
    "close": dict.fromkeys(PEOPLE, 405),
    "csv": {"alice": 404, "bob": 403, "charlie": 403, "dana": 200, "erin": 200},
    "json": {"alice": 404, "bob": 403, "charlie": 403, "dana": 200, "erin": 200},
}
POSTS: dict[str, dict[str, int]] = {
    "new": {"alice": 403, "bob": 403, "charlie": 403, "dana": 422, "erin": 403},
    "decide": {"alice": 404, "bob": 422, "charlie": 422, "dana": 422, "erin": 422},
    "close": {"alice": 404, "bob": 403, "charlie": 403, "dana": 409, "erin": 403},
}


@pytest.fixture
def campaign(dana: User, bob: User, charlie: User, alice: User, offer: Offer) -> Campaign:
    """Alice may ask, bob decides and has nobody's access; bob and charlie review."""
    GrantFactory.create(request__offer=offer, request__requester=alice, approver=bob)
    return services.start(
        admin=dana,
        campaign=Campaign(title="Autumn", due_at=database_now() + timedelta(days=10)),
        reviewers=[bob, charlie],
    )


def _url(name: str, campaign: Campaign) -> str:
    return reverse(f"reviews:{name}", args=[] if name in {"campaigns", "new"} else [campaign.pk])


def test_the_table_names_every_address() -> None:
    _, namespace = get_resolver().namespace_dict["reviews"]
    assert {name for name in namespace.reverse_dict if isinstance(name, str)} == set(PAGES)


@pytest.mark.parametrize("who", PEOPLE)
def test_each_person_gets_what_they_may_see(
    who: str, erin: User, campaign: Campaign, client_for: ClientFor, request: pytest.FixtureRequest
) -> None:
    client = client_for(request.getfixturevalue(who))
    pages = {name: client.get(_url(name, campaign)) for name in PAGES}
    assert not astray(pages)
    got = {name: page.status_code for name, page in pages.items()}
    assert got == {name: by_person[who] for name, by_person in PAGES.items()}
    sent = {name: client.post(_url(name, campaign)).status_code for name in POSTS}
    assert sent == {name: by_person[who] for name, by_person in POSTS.items()}
    items = {"items": [one.pk for one in campaign.items.all()], "verdict": "keep", "reason": "So."}
    kept = client.post(_url("decide", campaign), items).status_code
    assert kept == {"alice": 404, "charlie": 302}.get(who, 403)


def test_nobody_gets_in_without_signing_in(campaign: Campaign, client: Client) -> None:
    for name in PAGES:
        for response in (client.get(_url(name, campaign)), client.post(_url(name, campaign))):
            assert response.status_code == 302
            assert "/sign-in/" in response["Location"]


def test_forms_are_safe_against_forged_posts(campaign: Campaign, dana: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(dana)
    for name in POSTS:
        assert client.post(_url(name, campaign), {}).status_code == 403


def test_what_is_not_there_is_404(dana: User, client_for: ClientFor) -> None:
    for name in ("campaign", "csv", "json"):
        assert client_for(dana).get(reverse(f"reviews:{name}", args=[0])).status_code == 404


@pytest.fixture
def typed(bob: User, charlie: User) -> dict[str, Any]:
    day = (datetime.now(UTC) + timedelta(days=20)).date()
    return {
        "title": "Winter",
        "scope": "everything",
        "reviewers": [bob.pk, charlie.pk],
        "due_on": day.isoformat(),
    }


def test_a_review_is_started(
    dana: User, offer: Offer, typed: dict[str, Any], client_for: ClientFor
) -> None:
    response = client_for(dana).post(NEW, typed)
    campaign = Campaign.objects.get()
    assert response["Location"] == campaign.get_absolute_url()
    day = datetime.fromisoformat(typed["due_on"]).replace(tzinfo=UTC)
    assert campaign.due_at == day + timedelta(days=1)
    assert "Winter" in page(client_for(dana), LIST)


@pytest.mark.parametrize(
    ("changed", "codes"),
    [
        ({"scope": "account"}, {"account": ["required"]}),
        ({"scope": "pair"}, {"pair": ["required"]}),
        ({"title": ""}, {"title": ["required"]}),
        ({"due_on": "2020-01-01"}, {"due_on": ["due_out_of_bounds"]}),
        ({"due_on": "tomorrow"}, {"due_on": ["invalid"]}),
        ({"due_on": "9999-12-31"}, {"due_on": ["due_out_of_bounds"]}),
        ({"reviewers": []}, {"reviewers": ["required"]}),
        ({"state": "closed"}, {"__all__": ["unknown_field"]}),
    ],
)
def test_what_a_review_needs_is_told_at_the_field(
    changed: dict[str, Any],
    codes: dict[str, list[str]],
    dana: User,
    typed: dict[str, Any],
    client_for: ClientFor,
) -> None:
    told = refused(client_for(dana), NEW, typed | changed)
    assert {field: [code for _, code in errors] for field, errors in told.items()} == codes
    assert not Campaign.objects.exists()


def test_a_reviewer_keeps_several_with_one_reason_and_removes_another(
    campaign: Campaign, charlie: User, offer: Offer, client_for: ClientFor
) -> None:
    client, url = client_for(charlie), _url("decide", campaign)
    asks = campaign.items.get(kind="asks")
    others = [one.pk for one in campaign.items.exclude(kind="asks")]
    client.post(url, {"items": others, "verdict": "keep", "reason": "Needed."})
    response = client.post(
        url, {"items": [asks.pk], "verdict": "remove", "reason": "Has left."}, follow=True
    )
    text = response.content.decode()
    assert "1 item removed." in text
    assert "3 of 3 decided" in text
    assert not offer.eligible_users.exists()


def test_a_decision_without_a_reason_comes_back_with_what_was_chosen(
    campaign: Campaign, charlie: User, client_for: ClientFor
) -> None:
    item = campaign.items.filter(reviewer=charlie).first()
    assert item is not None
    response = client_for(charlie).post(
        _url("decide", campaign), {"items": [item.pk], "verdict": "keep", "reason": ""}
    )
    assert response.status_code == 422
    text = response.content.decode()
    assert "Say why: it is evidence." in text
    assert "checked" in text


def test_what_was_decided_meanwhile_answers_409(
    campaign: Campaign, charlie: User, client_for: ClientFor
) -> None:
    client, url = client_for(charlie), _url("decide", campaign)
    sent = {"items": [campaign.items.get(kind="asks").pk], "verdict": "keep", "reason": "So."}
    assert client.post(url, sent).status_code == 302
    assert client.post(url, sent).status_code == 409


def test_items_that_are_no_numbers_are_none(
    campaign: Campaign, charlie: User, client_for: ClientFor
) -> None:
    sent = {"items": ["x", "9" * 30, "-1"], "verdict": "keep", "reason": "So."}
    assert client_for(charlie).post(_url("decide", campaign), sent).status_code == 422


def test_nobody_is_offered_to_decide_on_themselves(
    campaign: Campaign, bob: User, client_for: ClientFor
) -> None:
    text = page(client_for(bob), f"{_url('campaign', campaign)}?whose=all")
    mine, asks = campaign.items.get(kind="decides"), campaign.items.get(kind="asks")
    assert f'value="{asks.pk}"' in text
    assert f'value="{mine.pk}"' not in text


def test_a_page_goes_on_after_a_key_and_costs_the_same_with_many_items(
    dana: User,
    bob: User,
    charlie: User,
    offer: Offer,
    client_for: ClientFor,
    django_assert_max_num_queries: Any,
) -> None:
    offer.eligible_users.set(UserFactory.create_batch(120))
    campaign = services.start(
        admin=dana,
        campaign=Campaign(title="Autumn", due_at=database_now() + timedelta(days=10)),
        reviewers=[bob, charlie],
    )
    client, url = client_for(dana), f"{_url('campaign', campaign)}?show=all&whose=all"
    keys = list(campaign.items.values_list("pk", flat=True))
    with django_assert_max_num_queries(16):
        first = page(client, url)
    assert first.count('scope="row"') == 50
    assert f"after={keys[49]}" in first
    with django_assert_max_num_queries(16):
        last = page(client, f"{url}&after={keys[99]}")
    assert last.count('scope="row"') == 21
    assert 'rel="next"' not in last
    with django_assert_max_num_queries(10):
        page(client, LIST)


@pytest.mark.parametrize("query", ["show=nonsense", "after=x", "whose=me"])
def test_unknown_filters_are_422(
    query: str, campaign: Campaign, dana: User, client_for: ClientFor
) -> None:
    assert client_for(dana).get(f"{_url('campaign', campaign)}?{query}").status_code == 422


def test_a_reviewer_sees_how_much_waits_for_them(
    campaign: Campaign, charlie: User, alice: User, client_for: ClientFor
) -> None:
    waits = Item.objects.waiting_for(charlie).count()
    assert f'<span class="count">{waits}</span>' in page(client_for(charlie), LIST)
    assert "Reviews" not in page(client_for(alice), reverse("provisioning:access"))


def test_an_admin_closes_it_and_then_nothing_is_offered(
    campaign: Campaign, dana: User, charlie: User, client_for: ClientFor
) -> None:
    sent = {
        "items": [one.pk for one in campaign.items.all()],
        "verdict": "keep",
        "reason": "=Needed.",
    }
    client_for(charlie).post(_url("decide", campaign), sent)
    response = client_for(dana).post(_url("close", campaign), follow=True)
    campaign.refresh_from_db()
    assert campaign.content_hash in response.content.decode()
    assert client_for(charlie).post(_url("decide", campaign), sent).status_code == 409
    text = page(client_for(charlie), _url("campaign", campaign))
    assert 'type="checkbox"' not in text
    exported = client_for(dana).get(_url("csv", campaign))
    assert exported["Content-Disposition"] == f'attachment; filename="review-{campaign.pk}.csv"'
    assert "'=Needed." in exported.content.decode()
