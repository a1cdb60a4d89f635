"""Who is told what: a person chooses, the mail leads in, and an admin sees what was delivered."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit, Visitor
from tests.browser.test_asking import ask_by_rule, give_back

# All of them in one process: they share one running demo.
pytestmark = [pytest.mark.system, pytest.mark.browser, pytest.mark.xdist_group("demo")]

TOPIC = "Your access is active: how to get in"


def choose(alice: Visitor, *, wanted: bool) -> None:
    alice.open("/notices/")
    alice.page.get_by_label(TOPIC).set_checked(wanted)
    alice.page.get_by_role("button", name="Save").click()
    alice.open("/notices/")
    expect(alice.page.get_by_label(TOPIC)).to_be_checked(checked=wanted)


def use_and_give_back(alice: Visitor) -> str:
    """Access by rule, from its beginning to its end. Returns its code."""
    path = ask_by_rule(alice)
    expect(alice.page.get_by_role("link", name="Switch role")).to_be_visible()
    give_back(alice)
    return path.strip("/").rpartition("/")[2]


def test_a_person_turns_a_topic_off_and_the_log_has_none_of_it(visit: Visit) -> None:
    alice, dana = visit("alice"), visit("dana")
    choose(alice, wanted=False)
    code = use_and_give_back(alice)
    rows = dana.page.locator("tbody tr", has_text="Alice Ashby")
    # What is told last of all: everything before it has been thought of by then.
    ended = rows.filter(has_text="Access has ended").filter(has_text="Sent")
    dana.open_until(f"/notices/log/?q={code}", ended)
    expect(rows.filter(has_text="Access is active")).to_have_count(0)
    choose(alice, wanted=True)


def test_the_mail_that_access_is_active_leads_in(visit: Visit) -> None:
    alice, dana = visit("alice"), visit("dana")
    path = ask_by_rule(alice)
    code = path.strip("/").rpartition("/")[2]
    expect(alice.page.get_by_role("link", name="Switch role")).to_be_visible()
    ends = str(alice.page.locator("#status time[data-countdown]").get_attribute("datetime"))

    told = dana.page.locator("tbody tr", has_text="Access is active").filter(has_text="Sent")
    dana.open_until(f"/notices/log/?q={code}", told)
    expect(told).to_contain_text("Alice Ashby")
    dana.open("/sandbox/mail/")
    dana.page.get_by_role("link", name="Your access to Workload is active").first.click()
    mail = dana.page.locator("main")
    expect(mail).to_contain_text("alice@example.com")
    # First the sign-in, then the role, then until when, in UTC.
    signing_in = alice.page.get_by_role("link", name="Sign in there first").get_attribute("href")
    way_in = alice.page.request.get(f"{alice.base}{path}switch-role/", max_redirects=0)
    for part in (str(signing_in), way_in.headers["location"], ends[11:16]):
        expect(mail).to_contain_text(part)
    give_back(alice)
