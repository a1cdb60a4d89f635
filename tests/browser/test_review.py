"""dana starts a review, and charlie keeps what he is asked about."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.browser.conftest import Visit
from tests.browser.rules import look

pytestmark = [pytest.mark.system, pytest.mark.browser]


def test_a_reviewer_keeps_what_they_are_asked_about(visit: Visit) -> None:
    dana, charlie = visit("dana"), visit("charlie")
    day = (datetime.now(UTC) + timedelta(days=20)).date().isoformat()
    dana.open("/reviews/new/")
    dana.page.get_by_label("Title").fill("Access of the autumn")
    dana.page.get_by_label("Bob Brandt (bob)").check()
    dana.page.get_by_label("Charlie Castro (charlie)").check()
    dana.page.get_by_label("Due on").fill(day)
    dana.page.get_by_role("button", name="Start the review").click()
    dana.page.get_by_role("heading", name="decided").wait_for()

    charlie.open("/access/")
    charlie.page.get_by_role("link", name="Reviews").click()
    charlie.page.get_by_role("link", name="Access of the autumn").click()
    charlie.page.get_by_label("Asked").select_option("all")
    charlie.page.get_by_role("button", name="Filter").click()
    charlie.page.get_by_label("Alice Ashby: may ask").first.check()
    look(charlie)
    charlie.page.get_by_label("Reason").fill("She works there.")
    charlie.page.get_by_role("button", name="Keep what is chosen").click()
    charlie.page.get_by_text("1 item kept.").wait_for()
    # Only what is chosen is decided.
    assert charlie.page.get_by_label("Bob Brandt: member").count() == 1
