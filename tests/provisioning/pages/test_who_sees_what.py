"""Every address of requests, access and oversight by every person, to open and to post an empty
form to.

A list, and a thing that exists for somebody, answers a stranger with 404; what is for a role says
so with 403. An address that is in no table fails `tests/portal/test_every_address.py`.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.urls import get_resolver, reverse

from accounts.models import IamIdentity, Offer, User
from audit.clock import database_now
from provisioning.models import DriftFinding, PasswordRequest, Stop
from tests.conftest import ClientFor
from tests.factories import (
    AccessRequestFactory,
    GrantFactory,
    GroupFactory,
    IamIdentityFactory,
    OfferFactory,
)
from tests.navigation import astray, marked

pytestmark = pytest.mark.django_db

type Codes = list[int]

WHO = ("nobody", "alice", "bob", "charlie", "dana", "erin")
# alice asks and holds, bob approves, charlie is a stranger, dana administers, erin audits.
EVERYBODY: Codes = [302, 200, 200, 200, 200, 200]
OVERSEERS: Codes = [302, 403, 403, 403, 200, 200]
ADMINS: Codes = [302, 403, 403, 403, 200, 403]
FORM_OF_ADMINS: Codes = [302, 403, 403, 403, 422, 403]
DONE_BY_ADMINS: Codes = [302, 403, 403, 403, 302, 403]
ITS_PEOPLE: Codes = [302, 200, 200, 404, 200, 200]
ALICE_ALONE: Codes = [302, 200, 404, 404, 404, 404]
FORM_OF_ALICE: Codes = [302, 422, 404, 404, 404, 404]
NOT_SO: Codes = [302, 405, 405, 405, 405, 405]


@dataclass(frozen=True)
class Page:
    """What an address answers to each of WHO."""

    get: Codes
    post: Codes
    of: str = ""
    """Which thing of the scene it is about."""
    query: str = ""


PAGES: dict[str, Page] = {
    "access": Page(EVERYBODY, NOT_SO),
    "access-history": Page(EVERYBODY, NOT_SO),
    # The catalogue, favourites, one offer, several, and an emergency.
    "offers": Page(EVERYBODY, NOT_SO),
    "ask": Page(ALICE_ALONE, FORM_OF_ALICE, of="offer"),
    "ask-together": Page(ALICE_ALONE, FORM_OF_ALICE, query="?offer={offer}&offer={other}"),
    "read-duration": Page(ALICE_ALONE, NOT_SO, of="offer"),
    "star": Page(NOT_SO, [302, 302, 404, 404, 404, 404], of="offer"),
    "break-glass": Page(ALICE_ALONE, FORM_OF_ALICE, of="other"),
    "to-review": Page(EVERYBODY, NOT_SO),
    # Deciding.
    "approvals": Page(EVERYBODY, NOT_SO),
    "decided": Page(EVERYBODY, NOT_SO),
    "together": Page(ITS_PEOPLE, [302, 422, 422, 422, 422, 422], query="?pick={asked}"),
    "request": Page(ITS_PEOPLE, NOT_SO, of="asked"),
    "decide": Page(NOT_SO, [302, 422, 422, 404, 422, 422], of="asked"),
    "terms": Page(NOT_SO, [302, 422, 422, 404, 422, 422], of="asked"),
    "comment": Page(NOT_SO, [302, 422, 422, 404, 422, 422], of="asked"),
    "look-again": Page(NOT_SO, [302, 302, 302, 404, 302, 403], of="asked"),
    "review": Page(NOT_SO, [302, 422, 422, 404, 422, 422], of="asked"),
    "cancel": Page(NOT_SO, [302, 302, 403, 404, 403, 403], of="asked"),
    # Access.
    "extend": Page(ALICE_ALONE, FORM_OF_ALICE, of="grant"),
    "switch": Page([302, 302, 404, 404, 404, 404], NOT_SO, of="grant"),
    "repair": Page([302, 403, 200, 404, 200, 403], [302, 403, 302, 404, 302, 403], of="narrowed"),
    "revoke": Page([302, 200, 200, 404, 200, 403], [302, 302, 422, 404, 422, 403], of="grant"),
    # What admins end, create and watch.
    "retire-account": Page(ADMINS, FORM_OF_ADMINS, of="account"),
    "bring-back": Page(NOT_SO, DONE_BY_ADMINS, of="account"),
    "retire-pair": Page(ADMINS, FORM_OF_ADMINS, of="pair"),
    "retire-offer": Page(ADMINS, FORM_OF_ADMINS, of="offer"),
    "retire-person": Page(ADMINS, FORM_OF_ADMINS, of="person"),
    "user-new": Page(ADMINS, FORM_OF_ADMINS),
    "password": Page(ADMINS, ADMINS, of="created"),
    "password-show": Page(NOT_SO, [302, 403, 403, 403, 200, 403], of="password"),
    "user-remove": Page(ADMINS, DONE_BY_ADMINS, of="created"),
    "grants": Page(OVERSEERS, NOT_SO),
    "grants-csv": Page(OVERSEERS, NOT_SO),
    "audit": Page(OVERSEERS, NOT_SO),
    "drift": Page(OVERSEERS, NOT_SO),
    "scan-now": Page(NOT_SO, DONE_BY_ADMINS),
    "restore-group": Page(NOT_SO, DONE_BY_ADMINS, of="finding"),
    "red-button": Page(OVERSEERS, NOT_SO),
    "stop-everything": Page(ADMINS, FORM_OF_ADMINS),
    "stop-person": Page(ADMINS, FORM_OF_ADMINS, of="person"),
    "stop-account": Page(ADMINS, FORM_OF_ADMINS, of="account"),
    "stop-pair": Page(ADMINS, FORM_OF_ADMINS, of="pair"),
    "stop": Page(OVERSEERS, NOT_SO, of="stop"),
    "stop-lift": Page(NOT_SO, DONE_BY_ADMINS, of="stop"),
    "check": Page(NOT_SO, DONE_BY_ADMINS, of="account"),
    "set-up": Page(OVERSEERS, NOT_SO, of="account"),
    "set-up-template": Page(OVERSEERS, NOT_SO, of="account"),
    "set-up-terraform": Page(OVERSEERS, NOT_SO, of="account"),
}


@pytest.fixture
def urls(offer: Offer, alice: User, bob: User, charlie: User, dana: User) -> dict[str, str]:
    """The address of each page, for the things of the scene."""
    on_call = GroupFactory.create(name="On call")
    alice.groups.add(on_call)
    other = OfferFactory.create(
        pair=offer.pair,
        eligible_users=[alice],
        approver_users=[bob],
        break_glass_group=on_call,
        break_glass_longest=timedelta(hours=1),
    )
    things = {
        "offer": offer.pk,
        "other": other.pk,
        "pair": offer.pair.pk,
        "account": offer.pair.target.account_id,
        "person": charlie.pk,
        "asked": AccessRequestFactory.create(offer=offer, requester=alice).code,
        "grant": _grant(offer, alice, bob, phase="active"),
        "narrowed": _grant(offer, alice, bob, phase="pending", settled_at=database_now()),
        **_things_of_admins(offer, dana),
    }
    return {
        name: reverse(f"provisioning:{name}", args=[things[page.of]] if page.of else [])
        + page.query.format(**things)
        for name, page in PAGES.items()
    }


def _grant(offer: Offer, alice: User, bob: User, **how: Any) -> str:
    """The code of another access of alice's that bob approved."""
    other = OfferFactory.create(pair=offer.pair, approver_users=[bob], eligible_users=[alice])
    grant = GrantFactory.create(request__offer=other, request__requester=alice, approver=bob, **how)
    return str(grant.code)


def _things_of_admins(offer: Offer, dana: User) -> dict[str, int]:
    """A user that Sallyport made, a password that dana waits for, a broken group, a pause."""
    now = database_now()
    created: IamIdentity = IamIdentityFactory.create(
        account=offer.pair.source, created_by_portal=True
    )
    password = PasswordRequest.objects.create(
        identity=created,
        asked_by=dana,
        lapses_at=now + timedelta(minutes=5),
        public_key="0" * 64,
    )
    finding = DriftFinding.objects.create(
        account=offer.pair.source,
        kind="narrowed",
        thing="group",
        name=offer.pair.switch_group,
        summary="The switch group is not there.",
        first_seen_at=now,
        last_seen_at=now,
    )
    # Of a person whom nothing else of the scene is about.
    stop = Stop.objects.create(
        key=uuid4(),
        scope=Stop.Scope.PERSON,
        person=created.person,
        reason="Keys were stolen.",
        pressed_by=dana.username,
        finished_at=now,
        pauses=True,
    )
    return {
        "created": created.pk,
        "password": password.pk,
        "finding": finding.pk,
        "stop": stop.pk,
    }


def test_the_table_names_every_address() -> None:
    _, namespace = get_resolver().namespace_dict["provisioning"]
    assert {name for name in namespace.reverse_dict if isinstance(name, str)} == set(PAGES)


@pytest.mark.parametrize("who", WHO)
def test_each_person_opens_and_posts_what_they_may(
    who: str,
    urls: dict[str, str],
    erin: User,
    client_for: ClientFor,
    request: pytest.FixtureRequest,
) -> None:
    client = client_for(None if who == "nobody" else request.getfixturevalue(who))
    at = WHO.index(who)

    for send, table in (
        (client.get, {name: page.get[at] for name, page in PAGES.items()}),
        # In the order of the table: what ends something comes after what needs it.
        (client.post, {name: page.post[at] for name, page in PAGES.items()}),
    ):
        pages = {name: send(url) for name, url in urls.items()}
        got = {name: page.status_code for name, page in pages.items()}
        assert not astray(pages), f"{who} is told where they are on each page."
        differs = {one: (got[one], table[one]) for one in table if got[one] != table[one]}
        assert not differs, f"{who}, as it is and as the table says: {differs}"


@pytest.mark.parametrize(
    ("who", "page", "entry"),
    [
        ("alice", "access-history", "My access"),
        ("alice", "ask", "Request"),
        ("alice", "break-glass", "Request"),
        ("alice", "to-review", "Approvals"),
        ("alice", "request", "My access"),
        ("bob", "request", "Approvals"),
        ("erin", "request", "Active grants"),
        ("alice", "revoke", "My access"),
        ("bob", "revoke", "Approvals"),
        ("dana", "repair", "Active grants"),
        ("erin", "red-button", "Active grants"),
        ("dana", "stop-person", "Active grants"),
        ("erin", "stop", "Active grants"),
        ("dana", "retire-person", "Registry"),
        ("dana", "user-new", "Registry"),
        ("erin", "set-up", "Registry"),
        ("erin", "drift", "Drift"),
    ],
)
def test_a_page_marks_the_entry_that_it_belongs_to(
    who: str,
    page: str,
    entry: str,
    urls: dict[str, str],
    erin: User,
    client_for: ClientFor,
    request: pytest.FixtureRequest,
) -> None:
    assert marked(client_for(request.getfixturevalue(who)).get(urls[page])) == [entry]


def test_nobody_is_led_to_the_sign_in_page_and_back(
    urls: dict[str, str], client_for: ClientFor
) -> None:
    for url in urls.values():
        for answer in (client_for(None).get(url), client_for(None).post(url)):
            assert answer.headers["Location"].startswith(f"{reverse('login')}?next=/")
