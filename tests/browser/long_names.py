"""A registry of names as long as they may be, made through the pages by dana."""

import re
from dataclasses import dataclass
from typing import Final

from playwright.sync_api import Page, expect

from tests.browser.conftest import Visitor

ACCOUNT: Final = "production-eu-central-1-customer-data-warehouse-01"
ACCOUNT_ID: Final = "444444444444"
ROLE: Final = "IncidentResponderReadAndWriteX01"
PROFILE: Final = "IncidentResponderForTheCustomerDataWarehouseReadAndWriteRole"
GROUP: Final = ("database-administrators-on-call-of-the-continental-data-warehouse-" * 3)[:150]
LAST_NAME: Final = "Wolfeschlegelstein-Featherstonehaugh of the Former Subsidiary"
USERNAME: Final = "maximiliane.wolfeschlegelstein-featherstonehaugh"
WARNING: Final = (
    "Agree with the owner of the figures beforehand, and write down what you changed. " * 3
)


@dataclass(frozen=True)
class LongNames:
    """Where the pages of it are."""

    account: str
    profile: str
    offer: str
    group: str
    person: str


def make(dana: Visitor) -> LongNames:
    """Register an account, a pair, a profile, a group, a person and an offer."""
    account = _account(dana)
    profile = _profile(dana)
    group = _group(dana)
    person = _person(dana)
    return LongNames(account, profile, _offer(dana), group, person)


def _sent(dana: Visitor, button: str) -> str:
    """Press a button; returns where it leads to."""
    before = dana.page.url
    dana.page.get_by_role("button", name=button, exact=True).click()
    expect(dana.page).not_to_have_url(before)
    return dana.page.url.removeprefix(dana.base)


def _account(dana: Visitor) -> str:
    page = dana.page
    dana.open("/registry/accounts/new/")
    page.get_by_label("Account id").fill(ACCOUNT_ID)
    page.get_by_label("Name", exact=True).fill(ACCOUNT)
    account = _sent(dana, "Register the account")
    dana.open("/registry/pairs/new/")
    page.get_by_label("Source account").select_option(label="Identity (111111111111)")
    page.get_by_label("Target account").select_option(label=f"{ACCOUNT} ({ACCOUNT_ID})")
    _sent(dana, "Register the pair")
    return account


def _profile(dana: Visitor) -> str:
    page = dana.page
    dana.open("/registry/profiles/new/")
    page.get_by_label("Name", exact=True).fill(PROFILE)
    page.get_by_label("Role name").fill(ROLE)
    page.get_by_label("AWS managed policies").fill("job-function/ViewOnlyAccess")
    return _sent(dana, "Make the profile")


def _group(dana: Visitor) -> str:
    page = dana.page
    dana.open("/registry/groups/new/")
    page.get_by_label("Name", exact=True).fill(GROUP)
    _check(page, "members", "Alice")
    return _sent(dana, "Make the group")


def _person(dana: Visitor) -> str:
    """Somebody new, in Django's admin, where people come from. Returns their page."""
    page = dana.page
    dana.open("/django-admin/accounts/user/add/")
    page.locator("[name=username]").fill(USERNAME)
    for field in ("password1", "password2"):
        page.locator(f"[name={field}]").fill("open-the-sallyport")
    page.locator("[name=_save]").click()
    page.locator("[name=first_name]").fill("Maximiliane-Alexandra")
    page.locator("[name=last_name]").fill(LAST_NAME)
    page.locator("[name=email]").fill(f"{USERNAME}@example.com")
    person = re.search(r"/user/(\d+)/", page.url)
    page.locator("[name=_save]").click()
    assert person is not None
    return f"/registry/people/{person[1]}/"


def _offer(dana: Visitor) -> str:
    page = dana.page
    dana.open("/registry/offers/new/")
    page.get_by_label("Account pair").select_option(label=f"Identity → {ACCOUNT}")
    page.get_by_label("Access profile").select_option(label=PROFILE)
    _check(page, "eligible_groups", GROUP)
    _check(page, "eligible_users", USERNAME)
    _check(page, "stage_1_people", "Bob")
    _check(page, "stage_1_people", "Frank")
    _check(page, "stage_1_groups", GROUP)
    page.locator("[name=stage_1_quorum]").fill("2")
    page.get_by_label("Warning").fill(WARNING.strip())
    return _sent(dana, "Make the offer")


def _check(page: Page, field: str, name: str) -> None:
    page.locator(f"label:has(input[name={field}])", has_text=name).locator("input").check()
