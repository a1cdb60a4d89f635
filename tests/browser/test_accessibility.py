"""Every page that a person can reach, by the rules of axe, wide and narrow, light and dark; and
with names as long as they may be."""

from collections.abc import Iterator
from typing import Literal

import pytest
from django.urls import URLPattern, URLResolver, get_resolver, resolve
from playwright.sync_api import Browser, expect

from tests.browser import long_names
from tests.browser.conftest import Visit, Visitor
from tests.browser.long_names import LongNames
from tests.browser.rules import NARROW, broken, look
from tests.browser.steps import code_of

pytestmark = [pytest.mark.system, pytest.mark.browser]

type Scheme = Literal["light", "dark"]

PAGES = {
    "": ["/sign-in/"],
    "alice": [
        "/access/",
        "/offers/",
        "/offers/1/request/",
        "/approvals/",
        "/notices/",
        "/password/",
        "/access/history/",
        "/offers/?q=nothing",
        "/offers/request/?offer=1&offer=4",
    ],
    "bob": ["/approvals/decided/", "/break-glass/"],
    "charlie": ["/offers/1/break-glass/"],
    "dana": [
        "/grants/",
        "/audit/",
        "/registry/accounts/",
        "/registry/accounts/new/",
        "/registry/accounts/111111111111/",
        "/accounts/222222222222/set-up/",
        "/registry/pairs/",
        "/registry/pairs/new/",
        "/registry/profiles/",
        "/registry/profiles/new/",
        "/registry/offers/",
        "/registry/offers/new/",
        "/registry/identities/",
        "/registry/identities/new/",
        "/registry/people/",
        "/registry/groups/1/",
        "/registry/proposals/",
        "/red-button/",
        "/red-button/person/1/",
        "/reviews/new/",
        "/notices/",
        "/notices/channels/",
        "/notices/log/",
        "/sandbox/",
        "/sandbox/mail/",
        "/sandbox/console/sign-in",
        "/drift/",
        "/reviews/",
        "/registry/accounts/111111111111/edit/",
        "/registry/profiles/1/",
        "/registry/profiles/1/versions/new/",
        "/registry/offers/1/",
        "/registry/offers/1/edit/",
        "/registry/offers/on-pairs/",
        "/registry/people/1/",
        "/registry/groups/new/",
        "/registry/proposals/second-admin/",
        "/accounts/222222222222/retire/",
        "/pairs/1/retire/",
        "/offers/1/retire/",
        "/people/1/retire/",
        "/red-button/everything/",
        "/red-button/account/222222222222/",
        "/red-button/pair/1/",
        "/identities/create-user/",
        "/sandbox/console/",
        "/sandbox/console/switchrole?account=222222222222&roleName=sallyport/nothing",
    ],
}
ON_THE_WAY = {
    "accounts:proposal",
    "provisioning:request",
    "provisioning:revoke",
    "provisioning:together",
    "reviews:campaign",
    "sandbox:mail-page",
}
"""Pages of what has to be made first: other tests look at them once they have made it."""
OF_USERS_MADE_HERE = {
    "provisioning:password",
    "provisioning:user-remove",
}
"""The sandbox's accounts do not allow Sallyport to create IAM users."""
BY_EYE_ONLY = {"provisioning:extend", "provisioning:stop"}
"""Tests open these pages, and do not hold them to the rules so far."""
AFTER_DRIFT = {"provisioning:repair"}
"""The sandbox has no page on which somebody takes access away."""
NO_PAGES = {
    "accounts:identity-look-again",
    "accounts:identity-relink",
    "accounts:lint",
    "accounts:person-open-sign-in",
    "accounts:proposal-confirm",
    "accounts:proposal-reject",
    "accounts:proposal-withdraw",
    "accounts:registry",
    "accounts:version-lint",
    "home",
    "logout",
    "notices:retry",
    "provisioning:bring-back",
    "provisioning:cancel",
    "provisioning:check",
    "provisioning:comment",
    "provisioning:decide",
    "provisioning:grants-csv",
    "provisioning:look-again",
    "provisioning:password-show",
    "provisioning:read-duration",
    "provisioning:restore-group",
    "provisioning:review",
    "provisioning:scan-now",
    "provisioning:set-up-template",
    "provisioning:set-up-terraform",
    "provisioning:star",
    "provisioning:stop-lift",
    "provisioning:switch",
    "provisioning:terms",
    "reviews:close",
    "reviews:csv",
    "reviews:decide",
    "reviews:json",
    "sandbox:console-sign-out",
    "sandbox:install",
    "sandbox:mail-html",
    "sandbox:sign-in",
    "sandbox:switch-back",
}
"""What takes a form, redirects, or answers with a file, a part of a page or somebody's mail."""


def names(patterns: list[URLPattern | URLResolver], space: str = "") -> set[str]:
    """The names of all addresses, without those of Django's own admin site."""
    found: set[str] = set()
    for one in patterns:
        if isinstance(one, URLPattern):
            found |= {f"{space}{one.name}"} if one.name else set()
        elif one.namespace != "admin":
            found |= names(one.url_patterns, f"{one.namespace}:" if one.namespace else space)
    return found


def test_every_page_is_looked_at() -> None:
    paths = [path for those in PAGES.values() for path in those]
    seen = {resolve(path.partition("?")[0]).view_name for path in paths}
    apart = ON_THE_WAY | OF_USERS_MADE_HERE | BY_EYE_ONLY | AFTER_DRIFT | NO_PAGES
    assert seen | apart == names(get_resolver().url_patterns)
    assert seen & apart == set()


@pytest.mark.parametrize("person", PAGES)
def test_pages_keep_the_rules_and_fit_the_width(visit: Visit, person: str) -> None:
    visitor = visit(person or None)
    for path in PAGES[person]:
        visitor.open(path)
        look(visitor)


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (NARROW, "light")])
@pytest.mark.parametrize("person", PAGES)
def test_pages_do_so_in_the_other_colours(
    visit: Visit, person: str, width: int, scheme: Scheme
) -> None:
    """Colours do not depend on the width, nor the width on colours, so the two that are left out
    above find little."""
    visitor = visit(person or None, width=width)
    visitor.page.emulate_media(color_scheme=scheme)
    for path in PAGES[person]:
        visitor.open(path)
        assert broken(visitor) == [], path


@pytest.fixture(scope="module")
def long(browser: Browser, sandbox: str) -> Iterator[LongNames]:
    """Names as long as they may be, made once."""
    context = browser.new_context()
    dana = Visitor(context.new_page(), sandbox)
    dana.sign_in("dana")
    yield long_names.make(dana)
    context.close()


@pytest.mark.slow
def test_long_names_break_where_a_reader_would_part_them(visit: Visit, long: LongNames) -> None:
    alice, bob, dana = visit("alice", width=NARROW), visit("bob", width=NARROW), visit("dana")
    number = long.offer.strip("/").rpartition("/")[2]
    alice.open(f"/offers/{number}/request/")
    assert broken(alice) == []
    alice.page.locator("[name=reason]").fill(
        f"https://tickets.example.com/browse/{'INC-2026-' * 9}1"
    )
    alice.page.get_by_role("button", name="Ask for access").click()
    alice.page.wait_for_url("**/requests/*/")
    path = alice.page.url.removeprefix(alice.base)
    code = code_of(path)
    for visitor, paths in (
        (alice, ["/access/", "/offers/", f"/offers/request/?offer={number}&offer=1", path]),
        (bob, ["/approvals/", f"/approvals/together/?pick={code}", path]),
    ):
        for one in paths:
            visitor.open(one)
            assert broken(visitor) == [], one
    pages = [
        *vars(long).values(),
        f"{long.offer}edit/",
        f"/accounts/{long_names.ACCOUNT_ID}/retire/",
    ]
    lists = [f"/registry/{one}/" for one in ("accounts", "pairs", "profiles", "offers", "people")]
    for one in (*pages, *lists, "/red-button/?q=e", "/audit/", "/notices/log/"):
        dana.open(one)
        look(dana)
    alice.open(path)
    alice.page.get_by_role("button", name="Withdraw the request").click()
    expect(alice.page.locator("#status .badge-cancelled")).to_be_visible()
