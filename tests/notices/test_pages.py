"""The pages of notices: who may open them, what they store, what they refuse."""

import pytest
from django.urls import get_resolver, reverse
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from accounts.models import User
from audit.models import AuditEvent
from notices import services
from notices.gather import gather
from notices.models import Notice, Preferences, Route
from notices.topics import TOPICS
from provisioning.models import Grant
from provisioning.services.common import Refused
from tests.conftest import ClientFor
from tests.navigation import marked
from tests.notices.conftest import Happen

pytestmark = pytest.mark.django_db

WHO = ["nobody", "alice", "bob", "charlie", "dana", "erin"]
GET = {
    # page: nobody, alice, bob, charlie, dana, erin
    "preferences": [302, 200, 200, 200, 200, 200],
    "routes": [302, 403, 403, 403, 200, 200],
    "log": [302, 403, 403, 403, 200, 200],
    "retry": [302, 405, 405, 405, 405, 405],
}
POST = {
    "preferences": [302, 302, 302, 302, 302, 302],
    "routes": [302, 403, 403, 403, 422, 403],
    "log": [302, 405, 405, 405, 405, 405],
    "retry": [302, 403, 403, 403, 302, 403],
}


@pytest.fixture
def cast(alice: User, bob: User, charlie: User, dana: User, erin: User) -> dict[str, User | None]:
    people = (alice, bob, charlie, dana, erin)
    return {"nobody": None} | {person.username: person for person in people}


@pytest.fixture
def notice(grant: Grant, happen: Happen) -> Notice:
    """Alice is to be told that her access is active."""
    happen("grant:phase:active", grant.subject)
    gather()
    return Notice.objects.get()


@pytest.fixture
def failed(notice: Notice) -> Notice:
    """A notice that was tried often enough."""
    Notice.objects.update(
        state="failed",
        note="The mail server refused this mail (550).",
        attempts=11,
        done_at=notice.made_at,
        next_try_at=None,
    )
    notice.refresh_from_db()
    return notice


def test_the_tables_name_every_address() -> None:
    _, namespace = get_resolver().namespace_dict["notices"]
    names = {name for name in namespace.reverse_dict if isinstance(name, str)}
    assert names == set(GET) == set(POST)


@pytest.mark.parametrize("page", GET)
def test_who_may_open_and_post_what(
    page: str, cast: dict[str, User | None], failed: Notice, client_for: ClientFor
) -> None:
    url = reverse(f"notices:{page}", args=[failed.pk] if page == "retry" else [])
    clients = [client_for(cast[who]) for who in WHO]

    assert [client.get(url).status_code for client in clients] == GET[page]
    # An empty form of channels would tell nobody of requests, so it is refused.
    assert [client.post(url).status_code for client in clients] == POST[page]


def test_the_menu_of_a_person_leads_to_their_notices(alice: User, client_for: ClientFor) -> None:
    assert 'href="/notices/">' in client_for(alice).get("/access/").content.decode()


@pytest.mark.parametrize("page", ["preferences", "routes", "log"])
def test_the_menu_of_a_person_marks_them_and_no_section_does(
    page: str, dana: User, client_for: ClientFor
) -> None:
    """What one is told of belongs to all sections."""
    answer = client_for(dana).get(reverse(f"notices:{page}"))

    assert marked(answer) == []
    assert 'href="/notices/" aria-current="page">' in answer.content.decode()


# --- Yours -----------------------------------------------------------------------------------


def test_a_person_chooses_topics_and_time_zone(alice: User, client_for: ClientFor) -> None:
    client = client_for(alice)
    posted = client.post(
        "/notices/", {"wanted": ["asked", "active"], "time_zone": "Europe/Berlin"}, follow=True
    )

    assert "Saved." in posted.content.decode()
    chosen = Preferences.objects.get(person=alice)
    assert chosen.time_zone == "Europe/Berlin"
    assert chosen.muted == [
        "decided",
        "question",
        "terms",
        "ends-soon",
        "ended",
        "extension",
        "review",
        "trouble",
        "narrowed",
    ]
    event = AuditEvent.objects.get(kind="person:notices:chosen")
    assert (event.actor, event.subject) == ("alice", "person:alice")
    page = client.get("/notices/").content.decode()
    assert page.count(" checked") == 2
    assert '<option value="Europe/Berlin" selected>' in page


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("wanted", "revoked"),
        ("wanted", "settled"),
        ("wanted", "drift"),
        ("wanted", "<script>"),
        ("time_zone", "Mars/Olympus"),
        ("time_zone", "../../etc/passwd"),
    ],
)
def test_what_is_not_theirs_to_choose_is_refused_at_the_field(
    field: str, value: str, alice: User, client_for: ClientFor
) -> None:
    answer = client_for(alice).post("/notices/", {field: value})

    assert answer.status_code == 422
    assert answer.context["form"].errors.as_data()[field][0].code == "invalid_choice"
    assert not Preferences.objects.exists()


def test_a_person_without_an_address_is_told_so(alice: User, client_for: ClientFor) -> None:
    User.objects.filter(pk=alice.pk).update(email="")

    page = client_for(alice).get("/notices/").content.decode()

    assert "Nobody has entered a mail address for you" in page


# --- Shared channels -------------------------------------------------------------------------


@pytest.fixture
def channels(settings: Settings) -> None:
    settings.CHANNELS = ("ops", "audit")


PEOPLE = {f"people-{one.key}": "on" for one in TOPICS if one.may_spare_people}


def test_an_admin_chooses_channels(channels: None, dana: User, client_for: ClientFor) -> None:
    chosen = PEOPLE | {"channels-asked": ["ops"], "channels-active": ["ops", "audit"]}
    del chosen["people-asked"]

    answer = client_for(dana).post("/notices/channels/", chosen)

    assert answer.status_code == 302
    asked, active = (Route.objects.get(topic=key) for key in ("asked", "active"))
    assert (asked.channels, asked.people) == (["ops"], False)
    assert (active.channels, active.people) == (["ops", "audit"], True)
    event = AuditEvent.objects.get(kind="notices:routes:chosen")
    assert event.data["after"]["asked"] == [["ops"], False]


def test_a_topic_that_nobody_would_be_told_of_is_refused(
    channels: None, dana: User, client_for: ClientFor
) -> None:
    chosen = dict(PEOPLE)
    del chosen["people-asked"]

    answer = client_for(dana).post("/notices/channels/", chosen)

    assert answer.status_code == 422
    (error,) = answer.context["form"].errors.as_data()["people-asked"]
    assert error.code == "nobody"
    assert not Route.objects.exists()


def test_a_channel_that_the_settings_do_not_know_is_refused(
    channels: None, dana: User, client_for: ClientFor
) -> None:
    answer = client_for(dana).post("/notices/channels/", PEOPLE | {"channels-asked": ["evil"]})

    assert answer.status_code == 422
    assert not Route.objects.exists()


def test_the_service_itself_refuses_everybody_but_admins(erin: User, failed: Notice) -> None:
    with pytest.raises(Refused, match="Only admins choose where notices go"):
        services.save_routes(admin=erin, chosen={})
    with pytest.raises(Refused, match="Only admins choose where notices go"):
        services.try_again(admin=erin, notice=failed)

    kinds = AuditEvent.objects.filter(actor="erin").values_list("kind", flat=True)
    assert set(kinds) == {"notices:routes:refused", "notices:retry:refused"}


def test_an_auditor_sees_the_channels_and_no_button(
    channels: None, erin: User, client_for: ClientFor
) -> None:
    page = client_for(erin).get("/notices/channels/").content.decode()

    assert "ops" in page
    assert ">Save<" not in page


# --- Delivery log ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", 1),
        ("?q=ali", 1),
        ("?q=bob", 0),
        ("?state=failed", 1),
        ("?state=sent", 0),
        ("?channel=mail", 1),
        ("?page=99", 1),
    ],
)
def test_the_log_is_filtered(
    query: str, found: int, failed: Notice, dana: User, client_for: ClientFor
) -> None:
    page = client_for(dana).get(f"/notices/log/{query}")

    assert page.status_code == 200
    assert len(page.context["rows"]) == found


def test_the_log_finds_what_is_about_one_access(
    failed: Notice, grant: Grant, dana: User, client_for: ClientFor
) -> None:
    page = client_for(dana).get("/notices/log/", {"q": grant.code})

    assert len(page.context["rows"]) == 1


def test_an_unknown_filter_is_an_error_and_not_everything(
    failed: Notice, dana: User, client_for: ClientFor
) -> None:
    page = client_for(dana).get("/notices/log/?state=everything")

    assert page.status_code == 422
    assert page.context["rows"] == []


def test_a_failed_notice_is_tried_again_once(
    failed: Notice, dana: User, client_for: ClientFor
) -> None:
    client, url = client_for(dana), f"/notices/log/{failed.pk}/retry/"

    client.post(url)
    failed.refresh_from_db()
    assert (failed.state, failed.attempts) == ("waiting", 0)
    assert AuditEvent.objects.get(kind="notices:retry:asked").subject == failed.event.subject

    again = client.post(url, follow=True)
    assert "This notice waits or was sent already." in again.content.decode()
    assert AuditEvent.objects.filter(kind="notices:retry:asked").count() == 1


def test_an_unknown_notice_is_not_found(dana: User, client_for: ClientFor) -> None:
    assert client_for(dana).post("/notices/log/99999/retry/").status_code == 404


def test_only_admins_are_offered_to_try_again(
    failed: Notice, dana: User, erin: User, client_for: ClientFor
) -> None:
    assert "Try again" in client_for(dana).get("/notices/log/").content.decode()
    assert "Try again" not in client_for(erin).get("/notices/log/").content.decode()


def test_queries_of_the_log_do_not_grow_with_its_rows(
    grant: Grant,
    happen: Happen,
    dana: User,
    client_for: ClientFor,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    client = client_for(dana)

    def queries() -> int:
        with django_assert_max_num_queries(50) as captured:
            assert client.get("/notices/log/").status_code == 200
        return len(captured)

    happen("grant:phase:active", grant.subject)
    gather()
    queries()
    few = queries()
    for _ in range(10):
        happen("grant:phase:active", grant.subject)
    gather()
    assert queries() == few
