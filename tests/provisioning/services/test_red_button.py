"""The red button: all access of a scope ends, nothing is forgotten, nothing begins meanwhile."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries

from accounts.models import AccountPair, AwsAccount, Offer, User
from audit.clock import database_now
from audit.models import AuditEvent
from provisioning import authz, services, tasks
from provisioning.engine import converge, stops
from provisioning.lifecycle import StaleState
from provisioning.models import AccessRequest, Grant, Stop
from provisioning.services import break_glass, red_button
from provisioning.services.common import Refused
from provisioning.sweep import Sweeper
from tests.aws_world import Approved, Aws, approve
from tests.conftest import ClientFor
from tests.factories import (
    AccessRequestFactory,
    GrantFactory,
    GroupFactory,
    OfferFactory,
    UserFactory,
    first_stage,
)

pytestmark = pytest.mark.django_db
TARGET = "222222222222"
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def no_late_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one transaction nothing is committed late, so a stop may finish at once."""
    monkeypatch.setattr(stops, "LATE_COMMITS", timedelta(0))


def press(
    actor: User,
    thing: red_button.Thing = None,
    *,
    pause: bool = False,
    key: UUID | None = None,
    confirmation: str | None = None,
) -> Stop:
    """Press it, by default with what is to be typed."""
    name = red_button.name_of(thing) if confirmation is None else confirmation
    return red_button.press(
        actor=actor,
        thing=thing,
        key=key or uuid4(),
        confirmation=name,
        reason="Keys were stolen.",
        pause=pause,
    )


@pytest.fixture
def grants(offer: Offer, alice: User, bob: User) -> list[Grant]:
    """Alice's through the pair, and a stranger's through another one."""
    mine = GrantFactory.create(
        request__offer=offer, request__requester=alice, approver=bob, phase="active"
    )
    return [mine, GrantFactory.create(phase="active")]


@pytest.fixture
def asked(alice: User, pair: AccountPair) -> AccessRequest:
    return AccessRequestFactory.create(requester=alice, offer=OfferFactory.create(pair=pair))


@pytest.fixture
def breakable(pair: AccountPair, alice: User, bob: User) -> Offer:
    """Another offer of the pair, which alice may ask for and take in an emergency."""
    group = GroupFactory.create(name="On call")
    alice.groups.add(group)
    offer: Offer = OfferFactory.create(
        pair=pair,
        eligible_users=[alice],
        approver_users=[bob],
        break_glass_group=group,
        break_glass_longest=HOUR,
    )
    return offer


# --- What ends -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "revoked"),
    [
        ("person", [True, False]),
        ("source", [True, False]),
        ("target", [True, False]),
        ("pair", [True, False]),
        ("everything", [True, True]),
    ],
)
def test_all_access_of_a_scope_ends_and_nothing_else(
    scope: str,
    revoked: list[bool],
    grants: list[Grant],
    asked: AccessRequest,
    alice: User,
    dana: User,
    pair: AccountPair,
) -> None:
    things: dict[str, red_button.Thing] = {
        "person": alice,
        "source": pair.source,
        "target": pair.target,
        "pair": pair,
        "everything": None,
    }

    stop = press(dana, things[scope])

    for grant, ended in zip(grants, revoked, strict=True):
        grant.refresh_from_db()
        assert (grant.revoked_at is not None) is ended
        assert (grant.stop_id == stop.pk) is ended
    asked.refresh_from_db()
    stop.refresh_from_db()
    assert (asked.state, stop.cancelled) == ("cancelled", 1)
    assert stop.finished_at is not None
    assert (grants[0].revoked_by, grants[0].revoke_reason) == ("dana", "Keys were stolen.")


def test_there_is_one_event_for_each_and_one_for_the_whole(
    grants: list[Grant], asked: AccessRequest, dana: User
) -> None:
    stop = press(dana)

    each = AuditEvent.objects.filter(kind="grant:revoked").order_by("id")
    assert [one.subject for one in each] == [one.subject for one in grants]
    assert {one.actor for one in each} == {"dana"}
    assert {one.data["stop"] for one in each} == {stop.pk}
    assert AuditEvent.objects.get(kind="request:state:cancelled").subject == asked.subject
    whole = AuditEvent.objects.about(stop.subject)
    assert [one.kind for one in whole] == ["stop:pressed", "stop:finished"]
    assert whole[0].data == {"scope": "everything", "grants": 2, "requests": 1, "pauses": False}


def test_workers_lock_out_first_and_remove_what_was_stopped(
    approved: Approved, aws: Aws, alice: User, dana: User
) -> None:
    grant = approved()
    converge.converge(grant.pk)
    arn = f"arn:aws:iam::{TARGET}:role/sallyport/{grant.role_name}"
    session = aws.enter("userA", arn)
    aws.reads(session)

    stop = press(dana, alice)
    before = red_button.progress(stop)
    converge.converge(grant.pk)

    after = red_button.progress(Stop.objects.get(pk=stop.pk))
    assert (before.locking, before.closed, before.total) == (1, 0, 1)
    assert (after.ended, after.closed, after.failing) == (1, 1, 0)
    assert aws.issued_roles(TARGET) == []


def test_a_grant_that_waits_for_its_worker_is_not_made_any_more(
    approved: Approved, aws: Aws, dana: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the press and its batch, a worker refuses to give what is about to end."""
    grant = approved()
    monkeypatch.setattr(tasks, "go_on_with_stop", lambda pk, batches: None)
    press(dana)

    converge.converge(grant.pk)

    grant.refresh_from_db()
    assert grant.revoked_by == "system:worker"
    assert grant.revoke_reason == (
        "An admin is ending all access of everybody at this moment. Ask again in a minute."
    )
    assert aws.issued_roles(TARGET) == []


# --- Pressed is pressed ----------------------------------------------------------------------


def test_a_form_that_is_sent_twice_is_one_press(grants: list[Grant], dana: User) -> None:
    key = uuid4()
    first = press(dana, key=key)
    events = AuditEvent.objects.count()

    assert press(dana, key=key) == first
    assert AuditEvent.objects.count() == events


def test_a_second_press_while_the_first_is_carried_out_changes_nothing(
    grants: list[Grant], dana: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "go_on_with_stop", lambda pk, batches: None)
    first = press(dana)

    assert press(dana) == first
    assert Stop.objects.count() == 1


def test_a_press_with_nothing_to_end_says_so(alice: User, dana: User) -> None:
    with pytest.raises(ValidationError) as caught:
        press(dana, alice)

    assert caught.value.messages == ["There is no access and no waiting request to end here."]
    assert not Stop.objects.exists()


def test_what_a_dead_process_left_undone_the_sweeper_does(
    grants: list[Grant], asked: AccessRequest, dana: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as dead:
        dead.setattr(tasks, "go_on_with_stop", lambda pk, batches: None)
        stop = press(dana)
    monkeypatch.setattr(tasks, "nudge", lambda task, pk, **how: True)

    Sweeper().sweep()

    assert not Grant.objects.filter(revoked_at=None).exists()
    asked.refresh_from_db()
    stop.refresh_from_db()
    assert asked.state == "cancelled"
    assert stop.finished_at is not None


def test_one_broken_stop_keeps_no_other_from_its_end(
    grants: list[Grant], dana: User, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = tasks.go_on_with_stop
    with monkeypatch.context() as dead:
        dead.setattr(tasks, "go_on_with_stop", lambda pk, batches: None)
        broken, sound = press(dana, alice), press(dana)

    def fails_once(pk: int, *, batches: int | None = None) -> None:
        if pk == broken.pk:
            raise RuntimeError
        go_on(pk, batches=batches)

    monkeypatch.setattr(tasks, "go_on_with_stop", fails_once)
    monkeypatch.setattr(tasks, "nudge", lambda task, pk, **how: True)
    Sweeper().sweep()

    sound.refresh_from_db()
    assert sound.finished_at is not None


def test_a_stop_is_not_finished_while_a_decision_may_still_be_on_its_way(
    grants: list[Grant], dana: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stops, "LATE_COMMITS", timedelta(seconds=10))

    stop = press(dana)

    assert not Grant.objects.filter(revoked_at=None).exists()
    assert Stop.objects.get(pk=stop.pk).finished_at is None


def test_batches_revoke_ten_times_as_many_with_as_many_statements(
    grants: list[Grant],
    dana: User,
    offer: Offer,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    identity = grants[0].identity
    for _ in range(20):
        GrantFactory.create(request__offer=offer, request__identity=identity, phase="active")
    stop = red_button.stop_of(None)
    stop.key, stop.reason, stop.pressed_by = uuid4(), "Drill", "dana"
    stop.save()

    # A savepoint, rows, update and events for the grants; the same without rows ends each loop.
    with django_assert_num_queries(25):
        stops.carry_out(stop.pk, lambda pk: True)
    assert not Grant.objects.filter(revoked_at=None).exists()


def test_who_presses_waits_for_one_batch_of_each_kind_and_the_sweeper_goes_on(
    grants: list[Grant], dana: User, offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stops, "BATCH", 2)
    identity = grants[0].identity
    for _ in range(3):
        GrantFactory.create(request__offer=offer, request__identity=identity, phase="active")
    for person in UserFactory.create_batch(5):
        AccessRequestFactory.create(offer=offer, requester=person)
    waiting, live = AccessRequest.objects.waiting(), Grant.objects.filter(revoked_at=None)
    before = waiting.count(), live.count()

    stop = press(dana)

    assert (waiting.count(), live.count()) == (before[0] - 2, before[1] - 2)
    assert Stop.objects.get(pk=stop.pk).cancelled == 2
    with monkeypatch.context() as later:
        later.setattr(stops, "LATE_COMMITS", timedelta(0))
        Sweeper().sweep()
    assert (waiting.count(), live.count()) == (0, 0)
    assert Stop.objects.get(pk=stop.pk).finished_at is not None


def test_a_dead_broker_is_asked_once_and_not_for_every_grant(
    grants: list[Grant], dana: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def unheard(task: object, pk: int) -> bool:
        asked.append(pk)
        return False

    monkeypatch.setattr(tasks, "nudge", unheard)
    press(dana)

    assert len(asked) == 1


# --- Nothing begins meanwhile ----------------------------------------------------------------


@pytest.fixture
def unfinished(dana: User, grants: list[Grant], monkeypatch: pytest.MonkeyPatch) -> Stop:
    """A red button for everything that nobody has carried out so far."""
    monkeypatch.setattr(tasks, "go_on_with_stop", lambda pk, batches: None)
    return press(dana)


def test_nothing_is_approved_while_everything_ends(
    unfinished: Stop, asked: AccessRequest, bob: User
) -> None:
    first_stage(asked.offer).people.add(bob)
    asked.offer.eligible_users.add(asked.requester)
    with pytest.raises(Refused) as caught:
        approve(asked, bob)

    assert caught.value.reasons == (
        "An admin is ending all access of everybody at this moment. Ask again in a minute.",
    )


type Deed = Callable[[], object]


def decided(offer: Offer, alice: User, bob: User) -> Deed:
    asked = AccessRequestFactory.create(requester=alice, offer=offer)
    return lambda: approve(asked, bob)


def taken(offer: Offer, alice: User, bob: User) -> Deed:
    return lambda: break_glass.take(person=alice, offer=offer, duration=HOUR, reason="INC-77.")


def asked_for(offer: Offer, alice: User, bob: User) -> Deed:
    return lambda: services.request_access(
        requester=alice, offer=offer, duration=HOUR, reason="Findings."
    )


def extended(offer: Offer, alice: User, bob: User) -> Deed:
    grant = Grant.objects.held_by(alice).get()
    return lambda: services.extend_access(person=alice, grant=grant, duration=HOUR, reason="More.")


@pytest.mark.parametrize(
    ("prepare", "kind", "actor"),
    [
        (decided, "request:decide:refused", "bob"),
        (taken, "grant:breakglass:refused", "alice"),
        (asked_for, "request:ask:refused", "alice"),
        (extended, "grant:extend:refused", "alice"),
    ],
)
def test_what_is_pressed_between_the_look_and_the_write_is_told_in_words_and_recorded(
    prepare: Callable[[Offer, User, User], Deed],
    kind: str,
    actor: str,
    grants: list[Grant],
    breakable: Offer,
    alice: User,
    bob: User,
    dana: User,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deed = prepare(breakable, alice, bob)
    monkeypatch.setattr(tasks, "go_on_with_stop", lambda pk, batches: None)
    press(dana, pause=True)
    monkeypatch.setattr(authz, "_paused", lambda *_: [])

    with pytest.raises(Refused) as caught:
        deed()

    assert caught.value.reasons == (
        "An admin has pressed the red button for this in this very moment. Ask again in a minute.",
    )
    refusal = AuditEvent.objects.get(kind=kind)
    assert (refusal.actor, refusal.reason) == (actor, str(caught.value))
    assert Grant.objects.count() == len(grants)


def test_the_database_refuses_a_grant_in_the_scope(unfinished: Stop) -> None:
    with pytest.raises(IntegrityError, match="grant_not_while_stopped"), transaction.atomic():
        GrantFactory.create()


def test_the_database_refuses_more_time_in_the_scope(unfinished: Stop, grants: list[Grant]) -> None:
    later = grants[0].ends_at + timedelta(hours=1)
    mine = Grant.objects.filter(pk=grants[0].pk)
    with pytest.raises(IntegrityError, match=r"grant_(not_longer_while_stopped|end_)"):
        mine.update(ends_at=later)


def test_a_pause_keeps_new_requests_away_until_it_is_lifted(
    offer: Offer, alice: User, dana: User
) -> None:
    def ask() -> AccessRequest:
        return services.request_access(
            requester=alice, offer=offer, duration=timedelta(minutes=30), reason="Findings."
        )

    stop = press(dana, alice, pause=True)
    with pytest.raises(Refused) as caught:
        ask()
    with pytest.raises(IntegrityError, match="request_not_while_paused"), transaction.atomic():
        AccessRequestFactory.create(offer=offer, requester=alice)
    red_button.lift(actor=dana, stop=stop)

    assert caught.value.reasons == (
        "An admin has ended all access of Alice Ashby and paused new requests. "
        "Ask an admin to lift the pause.",
    )
    assert ask().state == "pending"
    lifted = AuditEvent.objects.get(kind="stop:lifted")
    assert (lifted.actor, lifted.subject) == ("dana", stop.subject)


def test_a_pause_of_one_person_keeps_nobody_else_away(
    offer: Offer, alice: User, charlie: User, dana: User
) -> None:
    offer.eligible_users.add(charlie)
    press(dana, alice, pause=True)

    assert authz.can_request(charlie, offer).allowed
    ((_, answer),) = authz.can_request_each(alice, list(Offer.objects.all()))
    assert not answer.allowed


PAUSED = "and paused new requests. Ask an admin to lift the pause."


@pytest.mark.parametrize("of_everybody", [True, False])
def test_whose_requests_are_paused_reads_so_above_all_offers(
    of_everybody: bool, offer: Offer, alice: User, dana: User, client_for: ClientFor
) -> None:
    whose = "everybody" if of_everybody else "Alice Ashby"
    stop = press(dana, None if of_everybody else alice, pause=True)
    browser = client_for(alice)

    shown = browser.get("/offers/").content.decode()
    red_button.lift(actor=dana, stop=stop)

    said = f"<p>An admin has ended all access of {whose} {PAUSED}</p>"
    above, _, cards = shown.partition("<article")
    assert said in above
    assert "Admin whom you can ask:" in above
    # Not once more with each of them.
    assert "<p>New requests are paused.</p>" in cards
    assert PAUSED not in cards
    assert PAUSED not in browser.get("/offers/").content.decode()


def test_who_is_open_to_nothing_reads_of_a_pause_too(
    charlie: User, dana: User, client_for: ClientFor
) -> None:
    press(dana, pause=True)

    shown = client_for(charlie).get("/offers/").content.decode()

    assert f"<p>An admin has ended all access of everybody {PAUSED}</p>" in shown
    assert "Admin whom you can ask:" in shown


def test_a_pause_of_something_else_is_told_at_its_offers_only(
    offer: Offer, alice: User, bob: User, dana: User, client_for: ClientFor
) -> None:
    press(dana, offer.pair, pause=True)
    press(dana, bob, pause=True)

    above, _, cards = client_for(alice).get("/offers/").content.decode().partition("<article")

    assert PAUSED not in above
    assert cards.count(PAUSED) == 1


def test_a_pause_is_lifted_once(alice: User, dana: User) -> None:
    stop = press(dana, alice, pause=True)
    red_button.lift(actor=dana, stop=stop)

    with pytest.raises(StaleState, match=r"^This pause has been lifted before\.$"):
        red_button.lift(actor=dana, stop=stop)


# --- Who may, and what the database holds ----------------------------------------------------


@pytest.mark.parametrize(
    ("who", "reasons"),
    [
        ("alice", ("Only admins press the red button.",)),
        ("bob", ("Only admins press the red button.",)),
        (
            "erin",
            ("Auditors read everything and change nothing.", "Only admins press the red button."),
        ),
    ],
)
def test_only_admins_press_it_and_a_refusal_is_recorded(
    who: str, reasons: tuple[str, ...], request: pytest.FixtureRequest, grants: list[Grant]
) -> None:
    with pytest.raises(Refused) as caught:
        press(request.getfixturevalue(who))

    assert caught.value.reasons == reasons
    assert AuditEvent.objects.get(kind="stop:press:refused").actor == who
    assert not Stop.objects.exists()


def test_without_the_name_typed_nothing_ends(grants: list[Grant], alice: User, dana: User) -> None:
    with pytest.raises(ValidationError) as caught:
        press(dana, alice, confirmation="Alice")

    assert caught.value.message_dict == {"confirmation": ["Type this exactly: alice"]}
    assert Grant.objects.filter(revoked_at=None).count() == 2


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"reason": "Another."}, "stop_is_immutable"),
        ({"finished_at": None}, "stop_is_immutable"),
        ({"lifted_at": database_now}, "stop_lifts_only_a_pause"),
        ({"scope": "pair"}, "stop_"),
    ],
)
def test_the_database_keeps_what_was_pressed(
    change: dict[str, object], rule: str, grants: list[Grant], dana: User
) -> None:
    stop = press(dana)
    values = {name: made() if callable(made) else made for name, made in change.items()}
    with pytest.raises(IntegrityError, match=rule), transaction.atomic():
        Stop.objects.filter(pk=stop.pk).update(**values)
    with pytest.raises(IntegrityError, match="stop_is_never_deleted"), transaction.atomic():
        Stop.objects.filter(pk=stop.pk)._raw_delete("default")


# --- Pages -----------------------------------------------------------------------------------

WHO = ["nobody", "alice", "bob", "charlie", "dana", "erin"]
PAGES = {
    "/red-button/": [302, 403, 403, 403, 200, 200],
    "/red-button/?q=work": [302, 403, 403, 403, 200, 200],
    "/red-button/everything/": [302, 403, 403, 403, 200, 403],
    "/red-button/person/{alice}/": [302, 403, 403, 403, 200, 403],
    "/red-button/account/222222222222/": [302, 403, 403, 403, 200, 403],
    "/red-button/pair/{pair}/": [302, 403, 403, 403, 200, 403],
    "/red-button/pressed/{stop}/": [302, 403, 403, 403, 200, 200],
    "/red-button/pressed/{stop}/lift/": [302, 405, 405, 405, 405, 405],
}


@pytest.mark.parametrize("page", PAGES)
def test_who_may_open_which_page(
    page: str,
    grants: list[Grant],
    alice: User,
    bob: User,
    charlie: User,
    dana: User,
    erin: User,
    pair: AccountPair,
    client_for: ClientFor,
) -> None:
    url = page.format(alice=alice.pk, pair=pair.pk, stop=press(dana, charlie, pause=True).pk)
    people: list[User | None] = [None, alice, bob, charlie, dana, erin]

    assert [client_for(one).get(url).status_code for one in people] == PAGES[page]


def test_the_page_counts_lists_and_carries_out(
    grants: list[Grant], asked: AccessRequest, alice: User, dana: User, client_for: ClientFor
) -> None:
    browser, url = client_for(dana), f"/red-button/person/{alice.pk}/"
    page = browser.get(url)
    form = {
        "key": str(page.context["form"]["key"].value()),
        "confirmation": "alice",
        "reason": "Keys were stolen.",
    }
    answers = [browser.post(url, form) for _ in range(2)]

    text = page.content.decode()
    assert page.context["counts"] == {"grants": 1, "requests": 1, "ending": 0}
    assert "Type “alice” to confirm" in text
    assert "End 1 grant now" in text
    stop = Stop.objects.get()
    assert [one.headers["Location"] for one in answers] == [stop.get_absolute_url()] * 2
    shown = browser.get(stop.get_absolute_url()).content.decode()
    assert "Nobody gets through 0 of 1 any more" in shown
    assert "1 waiting request was withdrawn." in shown


@pytest.mark.parametrize(
    ("changed", "field", "message"),
    [
        ({"confirmation": "bob"}, "confirmation", "Type this exactly: alice"),
        ({"reason": ""}, "reason", "This field is required."),
        ({"reason": "two\x1blines"}, "reason", "Use one line without control characters"),
        ({"key": "x"}, "key", "Enter a valid UUID."),
    ],
)
def test_bad_input_is_told_at_the_field_and_ends_nothing(
    changed: dict[str, str],
    field: str,
    message: str,
    grants: list[Grant],
    alice: User,
    dana: User,
    client_for: ClientFor,
) -> None:
    form = {"key": str(uuid4()), "confirmation": "alice", "reason": "Keys were stolen."} | changed

    page = client_for(dana).post(f"/red-button/person/{alice.pk}/", form)

    assert page.status_code == 422
    assert message in page.context["form"].errors[field][0]
    assert not Stop.objects.exists()


def test_polling_stops_when_nothing_is_left_in_aws(
    grants: list[Grant], dana: User, client_for: ClientFor
) -> None:
    stop = press(dana)
    browser = client_for(dana)

    def poll() -> int:
        return browser.get(stop.get_absolute_url(), headers={"HX-Request": "true"}).status_code

    assert poll() == 200
    Grant.objects.update(phase="ending")
    Grant.objects.update(phase="ended", ended_at=database_now(), next_check_at=None)
    assert poll() == 286


def test_a_pause_is_shown_and_lifted_on_the_page(
    alice: User, dana: User, client_for: ClientFor
) -> None:
    stop = press(dana, alice, pause=True)
    browser = client_for(dana)

    shown = browser.get("/red-button/").content.decode()
    answer = browser.post(f"{stop.get_absolute_url()}lift/", follow=True)

    assert "New requests are paused" in shown
    assert "The pause is lifted: people can ask again." in answer.content.decode()
    stop.refresh_from_db()
    assert stop.lifted_by == "dana"


def test_who_pressed_and_who_lifted_it_are_named_in_full(
    alice: User, dana: User, frank: User, erin: User, client_for: ClientFor
) -> None:
    stop = press(dana, alice, pause=True)
    browser = client_for(erin)

    shown = browser.get("/red-button/").content.decode()
    red_button.lift(actor=frank, stop=stop)
    page = browser.get(stop.get_absolute_url()).content.decode()

    assert "was ended</a> by Dana Dahl," in shown
    assert '<td data-label="By">Dana Dahl</td>' in shown
    assert "<p>Dana Dahl pressed the red button" in page
    assert "Frank Fischer lifted the pause" in page


def test_names_of_the_red_button_are_read_in_one_go(
    dana: User, client_for: ClientFor, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    browser = client_for(dana)

    def press_as_another() -> None:
        admin = UserFactory.create(role=User.Role.ADMIN)
        press(admin, UserFactory.create(), pause=True)

    press_as_another()
    with CaptureQueriesContext(connection) as one:
        browser.get("/red-button/")
    for _ in range(4):
        press_as_another()
    with django_assert_num_queries(len(one)):
        browser.get("/red-button/")


@pytest.mark.parametrize("page", ["/red-button/?q=a", "/red-button/everything/"])
def test_pages_ask_the_database_as_often_for_many_as_for_few(
    page: str,
    grants: list[Grant],
    dana: User,
    client_for: ClientFor,
    django_assert_max_num_queries: Callable[..., object],
) -> None:
    browser = client_for(dana)
    browser.get(page)
    for _ in range(5):
        GrantFactory.create(phase="active")
        AccessRequestFactory.create()
        UserFactory.create()

    with django_assert_max_num_queries(15):  # type: ignore[attr-defined]
        browser.get(page)


def test_an_unsafe_scope_does_not_exist(dana: User, client_for: ClientFor) -> None:
    browser = client_for(dana)

    assert browser.get("/red-button/person/999999/").status_code == 404
    assert browser.get("/red-button/account/999999999999/").status_code == 404
    assert browser.get("/red-button/pair/999999/").status_code == 404
    assert browser.get("/red-button/pressed/999999/").status_code == 404
    assert AwsAccount.objects.filter(account_id="999999999999").first() is None
