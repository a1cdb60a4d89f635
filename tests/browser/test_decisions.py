"""Decisions beyond the plain yes: for a shorter time, several at once, none at all, and the end."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.steps import ask, code_of

pytestmark = [pytest.mark.system, pytest.mark.browser]


def test_bob_approves_for_a_shorter_time(visit: Visit) -> None:
    alice, bob = visit("alice"), visit("bob")
    path = ask(alice, "SecurityReadOnlyRole", "Identity")

    bob.open(path)
    page = bob.page
    page.get_by_text("Shorter, or later").click()
    page.get_by_label("How many minutes").fill("10")
    page.get_by_label("Why not as asked?").fill("Ten minutes are enough for a look.")
    page.get_by_role("button", name="Change the terms").click()
    expect(page.locator(".page-header s")).to_contain_text("30 min")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("You approved the request of Alice Ashby.")).to_be_visible()

    # Alice sees without a reload that she has it, and in the history why for less.
    expect(alice.page.get_by_role("link", name="Switch role")).to_be_visible()
    alice.open(path)
    expect(alice.page.locator(".page-header s")).to_contain_text("30 min")
    expect(alice.page.locator("main")).to_contain_text("Ten minutes are enough for a look.")
    alice.page.get_by_role("link", name="Give back").click()
    alice.page.get_by_role("button", name="Give it back").click()
    expect(alice.page.locator("#status .badge-ended")).to_be_visible()


def test_bob_rejects_two_requests_with_the_keyboard(visit: Visit) -> None:
    alice, bob = visit("alice"), visit("bob")
    paths = [ask(alice, "SecurityReadOnlyRole", target) for target in ("Workload", "Identity")]
    codes = [code_of(path) for path in paths]

    bob.open("/approvals/")
    keyboard = bob.page.keyboard
    rows = bob.page.locator("[data-row]")
    for number in range(rows.count()):
        keyboard.press("j")
        expect(rows.nth(number).locator("[data-row-link]")).to_be_focused()
        if any(rows.nth(number).locator(f"[value='{code}']").count() for code in codes):
            keyboard.press("x")
    expect(bob.page.locator("[name=pick]:checked")).to_have_count(2)
    bob.page.get_by_role("button", name="Decide on the chosen ones together").focus()
    keyboard.press("Enter")
    expect(bob.page.get_by_role("heading", name="Decide on 2 requests")).to_be_visible()
    bob.page.get_by_label("Note to the requester").focus()
    keyboard.type("Ask again after the freeze.")
    bob.page.get_by_role("button", name="Reject all").focus()
    keyboard.press("Enter")
    expect(bob.page.get_by_text(re.compile("You rejected 2 requests"))).to_be_visible()

    for path in paths:
        alice.open(path)
        expect(alice.page.locator("#status .badge-rejected")).to_be_visible()


def test_what_charlie_takes_in_an_emergency_dana_ends_and_two_others_review(visit: Visit) -> None:
    charlie, dana, bob = visit("charlie"), visit("dana"), visit("bob")
    dana.expected = ["422"]
    charlie.open("/offers/")
    charlie.page.get_by_role("link", name=re.compile("Break the glass")).click()
    charlie.page.get_by_label("What is the emergency?").fill("Production is down: INC-77.")
    charlie.page.get_by_role("button", name="Break the glass").click()
    charlie.page.wait_for_url("**/requests/*/")
    path = charlie.page.url.removeprefix(charlie.base)
    expect(charlie.page.get_by_role("link", name="Switch role")).to_be_visible()

    page = dana.page
    dana.open("/red-button/")
    page.get_by_label("Person, account or pair").fill("charlie")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("link", name="All access of Charlie Castro").click()
    page.get_by_label("Reason").fill("The incident is over.")
    page.get_by_label("to confirm").fill("bob")
    page.get_by_role("button", name="End 1 grant now").click()
    expect(page.locator("[aria-invalid]")).to_have_count(1)
    page.get_by_label("to confirm").fill("charlie")
    page.get_by_role("button", name="End 1 grant now").click()
    # The page counts by itself until AWS has nothing left of it.
    expect(page.get_by_text("Nobody gets through 1 of 1 any more")).to_be_visible()
    expect(page.locator("#live .badge-ended")).to_be_visible()
    expect(charlie.page.locator("#status .badge-ended")).to_be_visible()

    for reviewer in (bob, dana):
        reviewer.open("/break-glass/")
        reviewer.page.get_by_role("link", name="Charlie Castro").click()
        reviewer.page.locator("#review input[type=radio]").first.check()
        reviewer.page.get_by_label("What did you look at?").fill("The incident was real.")
        reviewer.page.get_by_role("button", name="Keep my review").click()
        expect(reviewer.page.locator("#review .timeline")).to_contain_text("The incident was real.")
    expect(dana.page.locator("#review .badge-approved")).to_be_visible()
    bob.open(path)
    expect(bob.page.locator("#review .timeline li")).to_have_count(2)
