"""What holds for all lists of the registry: as many queries for twelve rows as for two, no markup
from names, nothing that a page says twice."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import AwsAccount, Offer, User
from audit.clock import database_now
from tests.accounts.helpers import page
from tests.conftest import ClientFor
from tests.factories import (
    AccessProfileFactory,
    AccountPairFactory,
    AwsAccountFactory,
    ConnectionCheckFactory,
    GroupFactory,
    IamIdentityFactory,
    OfferFactory,
    ProfileVersionFactory,
    UserFactory,
)

HOSTILE = "<script>alert(1)</script>{{ 7|add:7 }}"
ESCAPED = "&lt;script&gt;alert(1)&lt;/script&gt;{{ 7|add:7 }}"


@pytest.fixture
def admin(dana: User, client_for: ClientFor) -> Client:
    return client_for(dana)


def _account(n: int) -> None:
    account = AwsAccountFactory.create()
    ConnectionCheckFactory.create_batch(2, account=account, finished_at=database_now())
    AccountPairFactory.create(source=account)


def _profile(n: int) -> None:
    ProfileVersionFactory.create(profile=AccessProfileFactory.create())


def _offer(n: int) -> None:
    people, groups = UserFactory.create_batch(2), GroupFactory.create_batch(2)
    OfferFactory.create(
        eligible_users=people,
        eligible_groups=groups,
        approver_users=people,
        approver_groups=groups,
    )


def _person(n: int) -> None:
    UserFactory.create().groups.add(*GroupFactory.create_batch(2))


LISTS: dict[str, Callable[[int], object]] = {
    "accounts": _account,
    "pairs": lambda n: AccountPairFactory.create(),
    "profiles": _profile,
    "offers": _offer,
    "identities": lambda n: IamIdentityFactory.create(),
    "people": _person,
}


def _queries(client: Client, url: str) -> int:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        page(client, url)
    return len(captured)


@pytest.mark.parametrize("name", LISTS)
def test_a_list_costs_as_many_queries_for_twelve_rows_as_for_two(name: str, admin: Client) -> None:
    url = reverse(f"accounts:{name}")
    for n in range(2):
        LISTS[name](n)
    two = _queries(admin, url)
    for n in range(10):
        LISTS[name](n)
    assert _queries(admin, url) == two
    assert two <= 12


def test_the_page_of_an_account_costs_the_same_however_much_it_is_used(
    admin: Client, source: AwsAccount
) -> None:
    def use() -> None:
        AccountPairFactory.create(source=source)
        AccountPairFactory.create(target=source)
        IamIdentityFactory.create(account=source)

    for _ in range(2):
        use()
    two = _queries(admin, source.get_absolute_url())
    for _ in range(10):
        use()
    assert _queries(admin, source.get_absolute_url()) == two


def test_the_form_of_an_offer_costs_the_same_however_many_people_there_are(
    admin: Client, offer: Offer
) -> None:
    url = reverse("accounts:offer-edit", args=[offer.pk])
    GroupFactory.create_batch(2)
    two = _queries(admin, url)
    UserFactory.create_batch(10)
    GroupFactory.create_batch(10)
    assert _queries(admin, url) == two


def test_names_are_text_on_every_page(admin: Client, dana: User) -> None:
    User.objects.filter(pk=dana.pk).update(first_name=HOSTILE, last_name="")
    group = GroupFactory.create(name=HOSTILE)
    group.user_set.add(dana)
    account = AwsAccountFactory.create(name=HOSTILE)
    pair = AccountPairFactory.create(source=account)
    profile = AccessProfileFactory.create(name=HOSTILE, description=HOSTILE)
    offer = OfferFactory.create(
        pair=pair, profile=profile, eligible_users=[dana], approver_users=[dana]
    )
    offer.eligible_groups.add(group)
    identity = IamIdentityFactory.create(person=dana, account=account)
    identity.last_error = HOSTILE
    identity.save()
    finding = {"key": "x", "title": HOSTILE, "ok": False, "detail": HOSTILE, "mend": HOSTILE}
    ConnectionCheckFactory.create(account=account, findings=[finding], finished_at=database_now())
    urls = [
        *(reverse(f"accounts:{name}") for name in LISTS),
        account.get_absolute_url(),
        profile.get_absolute_url(),
        offer.get_absolute_url(),
        reverse("accounts:account-edit", args=[account.account_id]),
        reverse("accounts:version-new", args=[profile.pk]),
        reverse("accounts:offer-edit", args=[offer.pk]),
        reverse("accounts:pair-new"),
        reverse("accounts:offer-new"),
        reverse("accounts:identity-new"),
    ]
    for url in urls:
        text = page(admin, url)
        assert "<script>alert" not in text, url
        assert ESCAPED in text, url


@pytest.mark.parametrize("name", LISTS)
def test_the_tab_of_a_list_is_marked(name: str, admin: Client) -> None:
    url = reverse(f"accounts:{name}")
    assert f'<a href="{url}" aria-current="page">' in page(admin, url)


@pytest.mark.parametrize("number", ["0", "-1", "x", "99999999999999999999", ""])
def test_a_page_number_that_is_none_shows_some_page(number: str, admin: Client) -> None:
    for name in LISTS:
        assert admin.get(reverse(f"accounts:{name}"), {"page": number}).status_code == 200
