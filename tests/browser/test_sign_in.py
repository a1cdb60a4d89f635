"""Wrong passwords make wait, and an admin ends that: what both see."""

import re

import pytest
from playwright.sync_api import expect

from sandbox.people import PASSWORD
from tests.browser.conftest import Visit, Visitor
from tests.browser.rules import hold

# All of them in one process: they share one running demo.
pytestmark = [pytest.mark.system, pytest.mark.browser, pytest.mark.xdist_group("demo")]

FREE = 5
"""Wrong passwords before somebody has to wait."""


def try_with(visitor: Visitor, password: str) -> None:
    visitor.page.get_by_label("User name").fill("charlie")
    visitor.page.get_by_label("Password", exact=True).fill(password)
    # By Enter, as people do.
    visitor.page.get_by_label("Password", exact=True).press("Enter")


def test_wrong_passwords_make_wait_until_an_admin_lets_them_try(visit: Visit) -> None:
    charlie, dana = visit(), visit("dana")
    charlie.expected += ["422", "429"]
    charlie.open("/sign-in/")
    charlie.page.get_by_text("Sign in with a password instead").click()
    refused = charlie.page.get_by_role("alert")
    for _ in range(FREE):
        with charlie.page.expect_navigation():
            try_with(charlie, "a guess")
        expect(refused).to_contain_text("This user name and this password do not fit together.")

    try_with(charlie, PASSWORD)
    expect(refused).to_contain_text(re.compile(r"Wait \d+ seconds, then try again\."))
    expect(refused).to_contain_text("This password was not looked at.")
    expect(refused).to_be_focused()
    expect(charlie.page.get_by_label("User name")).to_have_value("charlie")
    expect(charlie.page.get_by_label("Password", exact=True)).to_have_value("")
    hold(charlie, "the page that asks to wait")

    dana.open("/registry/people/")
    dana.page.get_by_role("link", name="Charlie Castro", exact=True).click()
    expect(dana.page.get_by_text("5, one after the other, on new devices.")).to_be_visible()
    dana.page.get_by_role("button", name="Let them try at once").click()
    expect(dana.page.get_by_role("status").first).to_contain_text(
        "can try to sign in again at once"
    )

    try_with(charlie, PASSWORD)
    charlie.page.wait_for_url("**/access/")
    expect(charlie.page.get_by_text("Signed in as charlie")).to_be_attached()
