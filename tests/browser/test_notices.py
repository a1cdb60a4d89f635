"""Who is told what: a person chooses, the mail leads in, and an admin sees what was delivered."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit, Visitor
from tests.browser.rules import look
from tests.browser.steps import ask_by_rule, code_of, delivered, give_back

pytestmark = [pytest.mark.system, pytest.mark.browser]

TOPIC = "Your access is active: how to get in"


def choose(alice: Visitor, *, wanted: bool) -> None:
    alice.open("/notices/")
    alice.page.get_by_label(TOPIC).set_checked(wanted)
    alice.page.get_by_role("button", name="Save").click()
    alice.open("/notices/")
    expect(alice.page.get_by_label(TOPIC)).to_be_checked(checked=wanted)


def test_a_person_turns_a_topic_off_and_is_told_of_the_rest(visit: Visit) -> None:
    alice, dana = visit("alice"), visit("dana")
    choose(alice, wanted=False)
    path = ask_by_rule(alice)
    expect(alice.page.get_by_role("link", name="Switch role")).to_be_visible()
    dana.open(f"{path}revoke/")
    dana.page.get_by_label("Reason").fill("The buckets are counted.")
    look(dana)
    dana.page.get_by_role("button", name="Revoke access").click()

    # What happened later is told, and nobody can choose not to know of it.
    revoked = delivered(dana, "Access was revoked")
    dana.open_until(f"/notices/log/?q={code_of(path)}", revoked)
    expect(delivered(dana, "Access is active")).to_have_count(0)
    expect(alice.page.locator("#status .badge-ended")).to_be_visible()


def test_a_person_turns_it_on_again_and_the_mail_leads_in(visit: Visit) -> None:
    alice, dana = visit("alice"), visit("dana")
    choose(alice, wanted=True)
    path = ask_by_rule(alice)
    expect(alice.page.get_by_role("link", name="Switch role")).to_be_visible()
    ends = str(alice.page.locator("#status time[data-countdown]").get_attribute("datetime"))

    dana.open_until(f"/notices/log/?q={code_of(path)}", delivered(dana, "Access is active"))
    dana.open("/sandbox/mail/")
    dana.page.get_by_role("link", name="Your access to Workload is active").first.click()
    mail = dana.page.locator("main")
    expect(mail).to_contain_text("alice@example.com")
    # First the sign-in, then the role, then until when, in UTC.
    signing_in = alice.page.get_by_role("link", name="Sign in there first").get_attribute("href")
    way_in = alice.page.request.get(f"{alice.base}{path}switch-role/", max_redirects=0)
    for part in (str(signing_in), way_in.headers["location"], ends[11:16]):
        expect(mail).to_contain_text(part)
    look(dana)
    give_back(alice)
