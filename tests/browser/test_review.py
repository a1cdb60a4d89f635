"""dana starts a review, bob goes through it: one is kept, the other loses the right at once."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.browser.conftest import Visit

pytestmark = pytest.mark.browser


def test_a_reviewer_keeps_and_removes(visit: Visit) -> None:
    dana, bob = visit("dana"), visit("bob")
    day = (datetime.now(UTC) + timedelta(days=20)).date().isoformat()
    dana.open("/reviews/new/")
    dana.page.get_by_label("Title").fill("Access of the autumn")
    dana.page.get_by_label("Bob Brandt (bob)").check()
    dana.page.get_by_label("Charlie Castro (charlie)").check()
    dana.page.get_by_label("Due on").fill(day)
    dana.page.get_by_role("button", name="Start the review").click()
    dana.page.get_by_text("0 of").wait_for()

    bob.open("/access/")
    bob.page.get_by_role("link", name="Reviews").click()
    bob.page.get_by_role("link", name="Access of the autumn").click()
    bob.page.get_by_label("Asked").select_option("all")
    bob.page.get_by_role("button", name="Filter").click()
    bob.page.get_by_label("Alice Ashby: may ask").first.check()
    bob.page.get_by_label("Reason").fill("She works there.")
    bob.page.get_by_role("button", name="Keep what is chosen").click()
    bob.page.get_by_text("1 item kept.").wait_for()
    # bob's own item is there for others to decide, and not for him.
    assert bob.page.get_by_label("Bob Brandt: member").count() == 0
