"""dana widens an offer, and frank confirms it: what both see."""

import pytest

from tests.browser.conftest import Visit
from tests.browser.rules import look

pytestmark = [pytest.mark.system, pytest.mark.browser]


def test_a_wider_offer_waits_for_the_second_admin(visit: Visit) -> None:
    dana, frank = visit("dana"), visit("frank")
    dana.open("/registry/proposals/")
    dana.page.get_by_role("link", name="Switch it on").click()
    dana.page.get_by_role("button", name="Switch it on").click()
    dana.page.get_by_role("link", name="Propose to switch it off").wait_for()

    dana.open("/registry/offers/")
    dana.page.get_by_role("rowheader").get_by_role("link").first.click()
    dana.page.get_by_role("link", name="Change").click()
    dana.page.get_by_label("Longest duration, in minutes").fill("480")
    dana.page.get_by_label("Why, for the second admin").fill("Ticket 78: the audit takes a day.")
    dana.page.get_by_role("button", name="Save the offer").click()
    dana.page.get_by_text("Frank Fischer confirms it").wait_for()
    assert dana.page.get_by_text("Access may last 8 h instead of 4 h.").is_visible()
    assert dana.page.get_by_role("button", name="Confirm").count() == 0

    frank.open("/registry/proposals/")
    frank.page.get_by_role("link", name="Change the offer").click()
    frank.page.get_by_role("heading", name="What lets more happen").wait_for()
    look(frank)
    frank.page.get_by_label("Reason").fill("Seen the ticket.")
    frank.page.get_by_role("button", name="Confirm").click()
    frank.page.get_by_text("Confirmed: the change is made.").wait_for()
    frank.page.get_by_role("link", name="See it as it is now").click()
    frank.page.get_by_text("8 h").first.wait_for()

    # The next tests of this sandbox are one admin's work again.
    dana.open("/registry/proposals/second-admin/")
    dana.page.get_by_label("Reason").fill("The demonstration is over.")
    dana.page.get_by_role("button", name="Propose to switch it off").click()
    frank.open(dana.page.url.removeprefix(frank.base))
    frank.page.get_by_role("button", name="Confirm").click()
    frank.page.get_by_text("Confirmed: the change is made.").wait_for()
