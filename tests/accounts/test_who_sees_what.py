"""Every page of the registry by every person: admins may change, auditors look, others get 403."""

from typing import Any

import pytest
from django.test import Client
from django.urls import get_resolver, reverse

from accounts.models import Offer, User
from tests.conftest import ClientFor
from tests.factories import GroupFactory, ProposalFactory
from tests.navigation import astray

READ = {"alice": 403, "bob": 403, "charlie": 403, "dana": 200, "erin": 200}
CHANGE = {"alice": 403, "bob": 403, "charlie": 403, "dana": 200, "erin": 403}
POST_ONLY = dict.fromkeys(("alice", "bob", "charlie", "dana", "erin"), 405)
MOVED = dict.fromkeys(("alice", "bob", "charlie", "dana", "erin"), 302)

PAGES: dict[str, dict[str, int]] = {
    "registry": MOVED,
    "accounts": READ,
    "account": READ,
    "account-new": CHANGE,
    "account-edit": CHANGE,
    "pairs": READ,
    "pair-new": CHANGE,
    "profiles": READ,
    "profile": READ,
    "profile-new": CHANGE,
    "version-new": CHANGE,
    "lint": POST_ONLY,
    "version-lint": POST_ONLY,
    "offers": READ,
    "offer": READ,
    "offer-new": CHANGE,
    "offers-on-pairs": CHANGE,
    "offer-edit": CHANGE,
    "identities": READ,
    "identity-new": CHANGE,
    "identity-look-again": POST_ONLY,
    "identity-relink": POST_ONLY,
    "people": READ,
    "person": READ,
    "person-open-sign-in": POST_ONLY,
    "group": READ,
    "group-new": CHANGE,
    "proposals": READ,
    "proposal": READ,
    "proposal-confirm": POST_ONLY,
    "proposal-reject": POST_ONLY,
    "proposal-withdraw": POST_ONLY,
    "second-admin": CHANGE,
}
FORMS = {
    "account-new",
    "account-edit",
    "pair-new",
    "profile-new",
    "version-new",
    "offer-new",
    "offers-on-pairs",
    "offer-edit",
    "identity-new",
    "group-new",
    "group",
    "person",
}
PEOPLE = ("alice", "bob", "charlie", "dana", "erin")


@pytest.fixture
def urls(offer: Offer, frank: User, alice: User) -> dict[str, str]:
    """The address of each page, for the things of the scene."""
    account_id = offer.pair.source.account_id
    proposal = ProposalFactory.create(proposed_by=frank)
    numbers: dict[str, Any] = {
        "person": alice.pk,
        "person-open-sign-in": alice.pk,
        "group": GroupFactory.create().pk,
        **dict.fromkeys(
            ("proposal", "proposal-confirm", "proposal-reject", "proposal-withdraw"), proposal.pk
        ),
        "account": account_id,
        "account-edit": account_id,
        "profile": offer.profile.pk,
        "version-new": offer.profile.pk,
        "version-lint": offer.profile.pk,
        "offer": offer.pk,
        "offer-edit": offer.pk,
        "identity-look-again": offer.pair.source.identities.get().pk,
        "identity-relink": offer.pair.source.identities.get().pk,
    }
    return {
        name: reverse(f"accounts:{name}", args=[numbers[name]] if name in numbers else [])
        for name in PAGES
    }


def test_the_table_names_every_address_of_the_registry() -> None:
    _, namespace = get_resolver().namespace_dict["accounts"]
    assert {name for name in namespace.reverse_dict if isinstance(name, str)} == set(PAGES)


@pytest.mark.parametrize("who", PEOPLE)
def test_each_person_gets_the_pages_that_their_role_may_see(
    who: str, urls: dict[str, str], client_for: ClientFor, request: pytest.FixtureRequest
) -> None:
    client = client_for(request.getfixturevalue(who))
    pages = {name: client.get(url) for name, url in urls.items()}
    assert not astray(pages)
    got = {name: page.status_code for name, page in pages.items()}
    assert got == {name: by_person[who] for name, by_person in PAGES.items()}


@pytest.mark.parametrize("who", PEOPLE)
def test_an_empty_form_is_refused_to_admins_at_the_fields_and_to_others_at_the_door(
    who: str, urls: dict[str, str], client_for: ClientFor, request: pytest.FixtureRequest
) -> None:
    client = client_for(request.getfixturevalue(who))
    got = {name: client.post(urls[name]).status_code for name in FORMS}
    assert set(got.values()) == {422 if who == "dana" else 403}


@pytest.mark.parametrize("who", ["alice", "bob", "charlie", "erin"])
@pytest.mark.parametrize(
    "name",
    ["identity-look-again", "identity-relink", "lint", "version-lint", "person-open-sign-in"],
)
def test_only_admins_post_what_has_no_page(
    who: str, name: str, urls: dict[str, str], client_for: ClientFor, request: pytest.FixtureRequest
) -> None:
    client = client_for(request.getfixturevalue(who))
    assert client.post(urls[name]).status_code == 403


def test_nobody_gets_in_without_signing_in(urls: dict[str, str], client: Client) -> None:
    for url in urls.values():
        for response in (client.get(url), client.post(url)):
            assert response.status_code == 302
            assert response["Location"] == f"{reverse('login')}?next={url}"


def test_a_superuser_who_is_only_a_member_gets_nothing(
    urls: dict[str, str], charlie: User, client_for: ClientFor
) -> None:
    User.objects.filter(pk=charlie.pk).update(is_superuser=True, is_staff=True)
    client = client_for(charlie)
    assert {client.get(urls[name]).status_code for name in PAGES if PAGES[name] is READ} == {403}


def test_an_admin_who_was_switched_off_gets_nothing(
    urls: dict[str, str], dana: User, client_for: ClientFor
) -> None:
    client = client_for(dana)
    User.objects.filter(pk=dana.pk).update(is_active=False)
    assert client.get(urls["accounts"]).status_code == 302


@pytest.mark.parametrize(
    "url",
    [
        "/registry/accounts/999999999999/",
        "/registry/accounts/999999999999/edit/",
        "/registry/accounts/1234/",
        "/registry/accounts/11111111111%00/",
        f"/registry/accounts/{'%D9%A1' * 12}/",
        "/registry/profiles/99999999999999999999999/",
        "/registry/profiles/0/versions/new/",
        "/registry/offers/0/",
        "/registry/offers/0/edit/",
    ],
)
def test_what_is_not_there_is_404(url: str, dana: User, client_for: ClientFor) -> None:
    assert client_for(dana).get(url).status_code == 404


def test_looking_for_an_identity_that_is_not_there_is_404(
    dana: User, client_for: ClientFor
) -> None:
    for name in ("identity-look-again", "identity-relink"):
        assert client_for(dana).post(reverse(f"accounts:{name}", args=[0])).status_code == 404


def test_auditors_see_no_button_that_would_refuse_them(
    urls: dict[str, str], erin: User, client_for: ClientFor
) -> None:
    client = client_for(erin)
    for name, by_person in PAGES.items():
        if by_person is READ:
            text = client.get(urls[name]).content.decode()
            main = text[text.index("<main") : text.index("</main>")]
            assert "/new/" not in main, name
            assert "/edit/" not in main, name
            assert 'method="post"' not in main, name


def test_forms_are_safe_against_forged_posts(urls: dict[str, str], dana: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(dana)
    for name, by_person in PAGES.items():
        if by_person in (CHANGE, POST_ONLY):
            assert client.post(urls[name], {"name": "x"}).status_code == 403


@pytest.mark.parametrize(("who", "may_end"), [("dana", True), ("erin", False)])
def test_the_registry_leads_to_grants_and_admins_to_the_red_button(
    who: str,
    may_end: bool,
    offer: Offer,
    alice: User,
    client_for: ClientFor,
    request: pytest.FixtureRequest,
) -> None:
    client, pair = client_for(request.getfixturevalue(who)), offer.pair
    account, grants = pair.source, reverse("provisioning:grants")
    for url, narrowed, stop in (
        (
            account.get_absolute_url(),
            f"account={account.account_id}",
            ("account", account.account_id),
        ),
        (reverse("accounts:pairs"), f"pair={pair.pk}", ("pair", pair.pk)),
        (reverse("accounts:person", args=[alice.pk]), "person=alice", ("person", alice.pk)),
    ):
        text = client.get(url).content.decode()
        assert f'href="{grants}?{narrowed}"' in text
        assert client.get(f"{grants}?{narrowed}").status_code == 200
        button = reverse(f"provisioning:stop-{stop[0]}", args=[stop[1]])
        assert (f'href="{button}"' in text) is may_end
