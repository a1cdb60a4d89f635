"""Asking beyond the one offer: several in one go, what a rule approves, a question, a later start,
and more time."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit, Visitor
from tests.browser.steps import ask, ask_by_rule, card, give_back

pytestmark = [pytest.mark.system, pytest.mark.browser]


def test_three_offers_asked_for_in_one_go_are_decided_one_by_one(visit: Visit) -> None:
    alice, bob = visit("alice"), visit("bob")
    page, offers = (
        alice.page,
        [f"SecurityReadOnlyRole in {where}" for where in ("Identity", "Workload")],
    )
    offers.append("SupportRole in Workload")
    alice.open("/offers/")
    for offer in offers:
        card(alice, offer).get_by_label("Choose").check()
    page.get_by_role("button", name="Request the chosen ones").click()
    expect(page.get_by_role("heading", name="Request 3 offers")).to_be_visible()
    for field in page.get_by_label("How long").all():
        field.fill("20 min")
    page.get_by_label("Why do you need it?").fill("Case 8812, the failed backup.")
    page.get_by_role("button", name="Ask for all").click()

    # Three requests wait, each knows of the other two, and each is decided on its own.
    links = page.locator("#live .card").get_by_role("link")
    expect(links).to_have_count(3)
    paths = {link.inner_text(): str(link.get_attribute("href")) for link in links.all()}
    assert set(paths) == set(offers)
    bob.open(paths[offers[0]])
    together = bob.page.locator("section", has=bob.page.get_by_text("Asked for in the same go"))
    expect(together.get_by_role("listitem")).to_have_count(2)
    bob.page.get_by_role("button", name="Approve").click()
    bob.page.get_by_text("You approved the request").wait_for()
    bob.open(paths[offers[1]])
    bob.page.get_by_label("Note to the requester").fill("One of the two is enough.")
    bob.page.get_by_role("button", name="Reject").click()
    bob.page.get_by_text("You rejected the request").wait_for()
    alice.open(paths[offers[1]])
    expect(page.locator("#status")).to_contain_text("One of the two is enough.")
    alice.open(paths[offers[2]])
    expect(page.locator("#status .badge-pending")).to_be_visible()
    page.get_by_role("button", name="Withdraw the request").click()
    alice.open(paths[offers[0]])
    expect(page.get_by_role("link", name="Switch role")).to_be_visible()
    give_back(alice)


def test_what_a_rule_approves_says_which_rules_held(visit: Visit) -> None:
    alice = visit("alice")
    ask_by_rule(alice)

    # Nobody decides, and nothing is reloaded.
    page = alice.page
    expect(page.get_by_role("link", name="Switch role")).to_be_visible()
    expect(page.locator("#status")).to_contain_text("Approved by the rule of the offer")
    page.reload()
    page.get_by_text("What applied, and what did not count").click()
    trace = page.locator("details", has_text="What applied")
    expect(trace.get_by_role("heading", name="At the decision")).to_be_visible()
    expect(trace).to_contain_text("Every condition of the rule held")
    expect(trace).to_contain_text("The offer demands a ticket of the pattern")
    give_back(alice)


def test_a_question_is_answered_before_access_that_starts_later_is_approved(visit: Visit) -> None:
    alice, bob = visit("alice"), visit("bob")
    path = ask_for_tomorrow(alice)

    bob.open(path)
    bob.page.get_by_label("Your question or answer").fill("Is the freeze over by then?")
    bob.page.get_by_role("button", name="Ask", exact=True).click()
    # Alice sees it without a reload, answers, and bob reads that likewise.
    thread = alice.page.locator("#thread")
    expect(thread).to_contain_text("Is the freeze over by then?")
    alice.page.get_by_label("Your question or answer").fill("It ends tonight.")
    alice.page.get_by_role("button", name="Answer").click()
    expect(bob.page.locator("#thread")).to_contain_text("It ends tonight.")
    expect(bob.page.get_by_text("Nothing is made before the start.")).to_be_visible()
    bob.page.get_by_role("button", name="Approve").click()
    expect(bob.page.locator("#status .badge-scheduled")).to_be_visible()

    # It is on her page with the time until it starts, and has no way in yet.
    alice.open("/access/")
    scheduled = alice.page.locator("article", has=alice.page.locator(".badge-scheduled"))
    expect(scheduled).to_contain_text("until it starts")
    expect(scheduled.get_by_role("link", name="Switch role")).to_have_count(0)
    scheduled.get_by_role("link", name="Cancel it").click()
    alice.page.get_by_role("button", name="Cancel the access").click()
    expect(alice.page.locator("#status .badge-ended")).to_be_visible()


def ask_for_tomorrow(alice: Visitor) -> str:
    """Ask for access that starts in a day. Returns the request's path."""
    alice.open("/offers/")
    offer = card(alice, "SecurityReadOnlyRole in Identity")
    offer.get_by_role("link", name="Request").click()
    start = datetime.now(UTC) + timedelta(days=1)
    alice.page.get_by_label("How long").fill("45 min")
    alice.page.get_by_label("Start").fill(start.strftime("%Y-%m-%dT%H:%M"))
    alice.page.get_by_label("Why do you need it?").fill("Look at the roles after the release.")
    alice.page.get_by_role("button", name="Ask for access").click()
    alice.page.wait_for_url("**/requests/*/")
    return alice.page.url.removeprefix(alice.base)


def test_more_time_is_asked_for_beside_the_countdown_and_decided(visit: Visit) -> None:
    alice, bob = visit("alice"), visit("bob")
    path = ask(alice, "SecurityReadOnlyRole", "Identity")
    bob.open(path)
    bob.page.get_by_role("button", name="Approve").click()
    page = alice.page
    expect(page.get_by_role("link", name="Switch role")).to_be_visible()
    end = page.locator("#status .time-left time[data-countdown]")
    before = str(end.get_attribute("datetime"))

    page.get_by_role("link", name="+ 15 min").click()
    expect(page.get_by_label("How many minutes more")).to_have_value("15")
    page.get_by_label("Why do you need more time?").fill("The report is longer than it was.")
    page.get_by_role("button", name="Ask for more time").click()
    page.wait_for_url("**/requests/*/")
    bob.open(page.url.removeprefix(alice.base))
    expect(bob.page.get_by_role("heading", level=1)).to_contain_text(
        "Alice Ashby asks to keep SecurityReadOnlyRole for longer"
    )
    bob.page.get_by_role("button", name="Approve").click()
    bob.page.get_by_text(re.compile("You approved the request")).wait_for()

    alice.open(path)
    later = datetime.fromisoformat(before) + timedelta(minutes=15)
    expect(end).to_have_attribute("datetime", later.isoformat())
    give_back(alice)
