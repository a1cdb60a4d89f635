"""Pages of later starts and later ends."""

from datetime import timedelta

import pytest

from accounts.models import Offer, User
from audit.clock import database_now
from provisioning import specs
from provisioning.core.plan import fingerprint
from provisioning.models import AccessRequest, Grant
from tests.conftest import ClientFor
from tests.factories import GrantFactory

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


@pytest.fixture
def grant(offer: Offer, alice: User, bob: User) -> Grant:
    return GrantFactory.create(
        request__offer=offer, request__requester=alice, phase="active", approver=bob
    )


@pytest.fixture
def scheduled(offer: Offer, alice: User, bob: User) -> Grant:
    return GrantFactory.create(
        request__offer=offer,
        request__requester=alice,
        phase="scheduled",
        approver=bob,
        starts_at=database_now().replace(microsecond=0) + timedelta(hours=3),
    )


MORE = {"minutes": "30", "reason": "The export still runs."}


def test_a_start_is_typed_as_utc(offer: Offer, alice: User, client_for: ClientFor) -> None:
    start = database_now().replace(second=0, microsecond=0) + timedelta(hours=2)
    values = {"duration": "30", "reason": "Release", "starts_at": f"{start:%Y-%m-%dT%H:%M}"}

    page = client_for(alice).post(f"/offers/{offer.pk}/request/", values)

    assert page.status_code == 302
    assert AccessRequest.objects.get().starts_at == start


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("2020-01-01T08:00", "This moment is past."),
        ("2099-01-01T08:00", "Choose a start within the next 14 days."),
        ("tomorrow", "Write a date and a time"),
        ("9999-99-99T99:99", "Write a date and a time"),
    ],
)
def test_a_bad_start_is_told_at_the_field(
    offer: Offer, alice: User, client_for: ClientFor, typed: str, message: str
) -> None:
    values = {"duration": "30", "reason": "Release", "starts_at": typed}

    page = client_for(alice).post(f"/offers/{offer.pk}/request/", values)

    assert page.status_code == 422
    assert list(page.context["form"].errors) == ["starts_at"]
    assert message in page.context["form"].errors["starts_at"][0]
    assert page.context["form"]["starts_at"].value() == typed
    assert not AccessRequest.objects.exists()


def test_what_is_scheduled_shows_its_start_and_no_way_in(
    scheduled: Grant, alice: User, client_for: ClientFor
) -> None:
    for url in ("/access/", scheduled.get_absolute_url()):
        text = client_for(alice).get(url).content.decode()
        assert "badge-scheduled" in text
        assert "Nothing exists in AWS before the start." in text
        assert "Cancel it" in text
        assert "Switch role</a>" not in text
    page = client_for(alice).get(f"/requests/{scheduled.code}/switch-role/")
    assert page.status_code == 409
    assert "This access has not started yet." in page.content.decode()


def test_what_is_scheduled_can_be_cancelled(
    scheduled: Grant, alice: User, client_for: ClientFor
) -> None:
    url = f"/requests/{scheduled.code}/revoke/"
    assert "Cancel your access before it starts?" in client_for(alice).get(url).content.decode()

    assert client_for(alice).post(url, {"reason": ""}).status_code == 302
    scheduled.refresh_from_db()
    assert scheduled.revoked_by == "alice"


def test_the_form_warns_of_access_that_one_has_and_offers_to_extend_it(
    grant: Grant, alice: User, client_for: ClientFor
) -> None:
    text = client_for(alice).get(f"/offers/{grant.request.offer_id}/request/").content.decode()

    assert "You already have this access until" in text
    assert f"/requests/{grant.code}/extend/" in text


def test_asking_for_more_time(grant: Grant, alice: User, client_for: ClientFor) -> None:
    page = client_for(alice).post(f"/requests/{grant.code}/extend/", MORE)

    asked = AccessRequest.objects.get(extends=grant)
    assert page.headers["Location"] == asked.get_absolute_url()
    assert asked.extends_until == grant.ends_at + 30 * MINUTE
    assert asked.duration == 30 * MINUTE


@pytest.mark.parametrize(
    ("typed", "field", "message"),
    [
        ({"minutes": "4"}, "minutes", "Choose between 5 and 2"),
        ({"minutes": "-1"}, "minutes", "Choose between 5 and 2"),
        ({"minutes": "9" * 30}, "minutes", "Choose between 5 and 2"),
        ({"minutes": "soon"}, "minutes", "Enter a whole number."),
        ({"reason": ""}, "reason", "This field is required."),
        ({"reason": "two\x1blines"}, "reason", "one line without control characters"),
    ],
)
def test_bad_input_for_more_time_is_told_at_the_field(
    grant: Grant,
    alice: User,
    client_for: ClientFor,
    typed: dict[str, str],
    field: str,
    message: str,
) -> None:
    page = client_for(alice).post(f"/requests/{grant.code}/extend/", MORE | typed)

    assert page.status_code == 422
    assert list(page.context["form"].errors) == [field]
    assert message in page.context["form"].errors[field][0]
    assert not AccessRequest.objects.filter(extends=grant).exists()


@pytest.mark.parametrize("method", ["get", "post"])
def test_what_cannot_be_extended_answers_409_with_the_reason(
    grant: Grant, alice: User, client_for: ClientFor, method: str
) -> None:
    Offer.objects.update(is_active=False)

    page = getattr(client_for(alice), method)(f"/requests/{grant.code}/extend/", MORE)

    assert page.status_code == 409
    assert "This offer is not open to you." in page.content.decode()


def test_the_approver_sees_what_changes_and_both_ends(
    grant: Grant, alice: User, bob: User, client_for: ClientFor
) -> None:
    client_for(alice).post(f"/requests/{grant.code}/extend/", MORE)
    asked = AccessRequest.objects.get(extends=grant)

    text = client_for(bob).get(asked.get_absolute_url()).content.decode().replace("<wbr>", "")

    assert "asks to keep Security read-only for longer" in text
    for words in ("UpdateAssumeRolePolicy", "PutRolePolicy", "Present end", "New end"):
        assert words in text
    assert "CreateRole" not in text
    assert f"{asked.extends_until:%Y-%m-%dT%H:%M:%SZ}" in text
    waiting = client_for(bob).get("/approvals/").content.decode()
    assert "More time" in waiting
    assert f"{asked.extends_until:%-d %b, %H:%M} UTC" in waiting


def test_approving_an_extension_shows_on_the_page_of_the_access(
    grant: Grant, alice: User, bob: User, client_for: ClientFor
) -> None:
    client_for(alice).post(f"/requests/{grant.code}/extend/", MORE)
    asked = AccessRequest.objects.get(extends=grant)
    values = {
        "verdict": "approved",
        "fingerprint": fingerprint(specs.spec_for_request(asked)),
        "reason": "",
    }

    page = client_for(bob).post(f"/requests/{asked.code}/decide/", values)

    assert page.status_code == 302
    text = client_for(alice).get(grant.get_absolute_url()).content.decode()
    assert "being extended to" in text
    assert "Extension until" in text
    assert "Alice Ashby asked to extend the access until" in text
    mine = client_for(alice).get("/access/").content.decode()
    assert "being extended to" in mine
    assert "Switch role</a>" in mine
    own = client_for(alice).get(asked.get_absolute_url()).content.decode()
    assert "The access that it would extend" in own
