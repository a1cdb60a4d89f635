"""What a holder sees and is told while the access lives."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from accounts.models import Offer, User
from audit.clock import database_now
from audit.models import AuditEvent
from provisioning import lifecycle
from provisioning.models import Grant
from tests.conftest import ClientFor
from tests.factories import GrantFactory

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def live(offer: Offer, alice: User, *, lasts: int, left: int) -> Grant:
    """An active grant of alice's that lasts so many minutes, of which some are left."""
    ends_at = database_now().replace(microsecond=0) + left * MINUTE
    return GrantFactory.create(
        request__offer=offer,
        request__requester=alice,
        request__duration=lasts * MINUTE,
        phase="active",
        starts_at=ends_at - lasts * MINUTE,
        ends_at=ends_at,
    )


def told() -> list[str]:
    return list(AuditEvent.objects.filter(kind="grant:ends-soon").values_list("subject", flat=True))


@pytest.mark.parametrize(
    ("lasts", "left", "is_told"),
    [
        (60, 14, True),
        (60, 16, False),
        (60, -1, False),
        (600, 14, True),
        (600, 16, False),
        # The last quarter of what is shorter than an hour.
        (30, 14, False),
        (30, 7, True),
        (15, 15, False),
        (15, 4, False),
        (15, 3, True),
        (5, 5, False),
        (5, 1, True),
    ],
)
def test_the_end_is_told_once_and_shown_when_it_is_near(
    lasts: int, left: int, is_told: bool, offer: Offer, alice: User, client_for: ClientFor
) -> None:
    grant = live(offer, alice, lasts=lasts, left=left)

    for _ in range(2):
        lifecycle.note_ending_soon(database_now(), limit=10)

    assert told() == ([grant.subject] if is_told else [])
    page = client_for(alice).get("/access/").content.decode()
    assert ("It ends soon." in page) is is_told


def test_nobody_is_told_of_the_end_of_what_was_revoked_or_is_not_ready(
    offer: Offer, alice: User
) -> None:
    grant = live(offer, alice, lasts=60, left=10)
    for change in ({"phase": "pending"}, {"phase": "active", "revoked_at": database_now()}):
        Grant.objects.filter(pk=grant.pk).update(**change)
        lifecycle.note_ending_soon(database_now(), limit=10)

    assert told() == []


def test_the_card_offers_more_time_and_helps_with_the_link(
    offer: Offer, alice: User, client_for: ClientFor
) -> None:
    grant = live(offer, alice, lasts=60, left=10)
    browser = client_for(alice)

    text = browser.get("/access/").content.decode().replace("<wbr>", "")

    assert "It ends soon." in text
    for minutes in (15, 30, 60):
        assert f"/requests/{grant.code}/extend/?minutes={minutes}" in text
    assert "The link does not work?" in text
    assert f"sallyport/{grant.role_name}" in text
    assert "Sign in with MFA." in text
    form = browser.get(f"/requests/{grant.code}/extend/?minutes=30").context["form"]
    assert form["minutes"].value() == "30"
    odd = browser.get(f"/requests/{grant.code}/extend/?minutes=x").context["form"]
    assert odd["minutes"].value() == 60


@pytest.mark.parametrize(
    ("changes", "looks"),
    [
        ({"phase": "pending"}, "every 2s"),
        ({"phase": "active"}, "countdown:ended from:body, every 10s"),
        ({"phase": "active", "attempts": 3, "last_error": "No."}, "every 2s"),
        ({"phase": "active", "reopened_at": datetime(2026, 1, 1, tzinfo=UTC)}, "every 2s"),
    ],
)
def test_a_page_of_what_rests_looks_seldom(
    changes: dict[str, Any], looks: str, offer: Offer, alice: User, client_for: ClientFor
) -> None:
    """What is replaced every two seconds is hard to click on, for the hours that access lasts."""
    grant = GrantFactory.create(request__offer=offer, request__requester=alice, **changes)

    page = client_for(alice).get(grant.request.get_absolute_url()).content.decode()

    assert f'hx-trigger="{looks}"' in page
