"""The sweeper finds what is due from rows alone, and nudges are allowed to get lost."""

import base64
import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis
from django.conf import settings as django_settings
from pytest_django.fixtures import Settings

from accounts.models import AwsAccount, ConnectionCheck, IamIdentity, Offer, User
from audit.clock import database_now
from provisioning import sweep, tasks
from provisioning.engine import converge, onboard
from provisioning.management.commands.sweep import Command
from provisioning.models import AccessRequest, Grant
from provisioning.sweep import Sweeper
from sandbox.processes import free_port
from tests.aws_world import Approved, Aws
from tests.factories import AccessRequestFactory, ConnectionCheckFactory, GrantFactory

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Nudges that a broker took; nobody acts on them."""
    sent: list[tuple[str, int]] = []

    def take(task: object, pk: int, **_: object) -> bool:
        sent.append((task.name, pk))  # type: ignore[attr-defined]  # a Celery task
        return True

    monkeypatch.setattr(tasks, "nudge", take)
    return sent


@pytest.fixture
def no_broker(settings: Settings) -> None:
    """A broker address where nothing listens."""
    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{free_port()}/0"


def keys() -> list[str]:
    return [job.key.split(":")[0] for job in sweep.due(database_now())]


def test_removals_come_before_creations(offer: Offer, alice: User, dana: User) -> None:
    now = database_now()
    new = GrantFactory.create(request__offer=offer, request__requester=alice)
    over = GrantFactory.create(
        request__offer=offer,
        starts_at=now - 60 * MINUTE,
        next_check_at=now - MINUTE,
        phase="active",
    )
    revoked = GrantFactory.create(
        request__offer=offer, revoked_at=now, revoked_by="dana", next_check_at=now
    )

    found = list(Grant.objects.due(now + MINUTE))

    # AWS has closed the one that is over by itself, and the revoked one is still open.
    assert found == [revoked, over, new]


def test_accounts_take_turns(offer: Offer) -> None:
    """One account with much to do does not keep another one waiting."""
    now = database_now()
    many = [
        GrantFactory.create(
            request__offer=offer, starts_at=now - 60 * MINUTE, next_check_at=now - 30 * MINUTE
        )
        for _ in range(5)
    ]
    one = GrantFactory.create(starts_at=now - 60 * MINUTE, next_check_at=now - MINUTE)

    found = list(Grant.objects.due(now))

    assert found[1] == one
    assert set(found) == {one, *many}


def test_of_many_ends_as_many_are_sent_as_the_account_has_room_for(
    offer: Offer, settings: Settings
) -> None:
    """The rest stays in the database, and keeps neither workers nor other accounts waiting."""
    settings.CALLS_PER_SECOND = 2.0
    now = database_now()
    begun = {"starts_at": now - 60 * MINUTE, "next_check_at": now - 30 * MINUTE}
    many = [GrantFactory.create(request__offer=offer, **begun).pk for _ in range(30)]
    other = GrantFactory.create(starts_at=now - 60 * MINUTE, next_check_at=now - MINUTE)
    told = {"revoked_at": now, "next_check_at": now}
    revoked = [GrantFactory.create(request__offer=offer, **told).pk for _ in range(3)]

    sent = [job.pk for job in sweep.due(now, timedelta(seconds=5)) if job.key[:5] == "grant"]

    # A burst of 30, and 2 a second for seven seconds: 44 calls, of which those who are to be
    # locked out take 6 each, whatever room there is, and an end takes 5.
    assert set(sent[:3]) == set(revoked)
    assert other.pk in sent
    assert len(set(sent) & set(many)) == 5


def test_workers_are_told_to_begin_with_each_of_many_at_about_its_turn(
    offer: Offer, settings: Settings
) -> None:
    """Told all at once, they would find no room for most and give them back."""
    settings.CALLS_PER_SECOND = 10.0
    now = database_now()
    for _ in range(30):
        GrantFactory.create(
            request__offer=offer, starts_at=now - 60 * MINUTE, next_check_at=now - MINUTE
        )

    jobs = [job for job in sweep.due(now, timedelta(seconds=5)) if job.key[:5] == "grant"]

    delays = [round(job.delay.total_seconds(), 1) for job in jobs]
    # A burst of six with 5 calls each, two that a worker waits for, and two each second.
    assert delays == [0.0] * 8 + [round(one / 2, 1) for one in range(1, 12)]


def test_a_grant_in_the_hands_of_a_worker_is_left_alone(offer: Offer) -> None:
    grant = GrantFactory.create(request__offer=offer)
    assert "grant" in keys()

    Grant.objects.filter(pk=grant.pk).update(leased_until=database_now() + MINUTE)

    assert "grant" not in keys()


def test_a_lease_that_ran_out_is_found_again(offer: Offer) -> None:
    grant = GrantFactory.create(request__offer=offer)
    Grant.objects.filter(pk=grant.pk).update(leased_until=database_now() - MINUTE)

    assert "grant" in keys()


def test_unanswered_requests_lapse(offer: Offer, alice: User) -> None:
    request = AccessRequestFactory.create(
        offer=offer, requester=alice, lapses_at=database_now() - MINUTE
    )

    Sweeper().sweep()

    request.refresh_from_db()
    assert request.state == "expired"


def test_new_accounts_identities_and_requests_are_looked_at(
    source: AwsAccount, offer: Offer, alice: User, told: list[tuple[str, int]]
) -> None:
    IamIdentity.objects.update(verified_at=None, arn="", unique_id="", next_check_at=database_now())
    AccessRequestFactory.create(offer=offer, requester=alice)

    Sweeper().sweep()

    assert {name for name, _ in told} == {
        "sallyport.check_connection",
        "sallyport.verify_identity",
        "sallyport.preview",
        "sallyport.prepare_pair",
    }
    assert ConnectionCheck.objects.filter(account=source, asked_by="system:sweeper").count() == 1


def test_a_nudge_is_not_repeated_while_it_may_still_be_taken_up(
    offer: Offer, told: list[tuple[str, int]]
) -> None:
    GrantFactory.create(request__offer=offer)
    ConnectionCheck.objects.all().delete()
    sweeper = Sweeper()

    sweeper.sweep()
    once = len(told)
    sweeper.sweep()

    assert len(told) == once


def test_without_a_broker_the_sweeper_does_the_work_itself(
    no_broker: None, approved: Approved, aws: Aws
) -> None:
    grant = approved()

    Sweeper().sweep()

    grant.refresh_from_db()
    assert grant.phase == "active"
    assert aws.issued_roles("222222222222") == [grant.role_name]


def test_when_no_worker_takes_up_a_nudge_the_sweeper_does_the_work_itself(
    approved: Approved, aws: Aws, told: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    grant = approved()
    sweeper = Sweeper()
    sweeper.sweep()
    later = database_now() + sweep.PATIENCE + timedelta(seconds=1)
    monkeypatch.setattr(sweep, "database_now", lambda: later)

    sweeper.sweep()

    grant.refresh_from_db()
    assert grant.phase == "active"


def test_a_broker_that_does_not_answer_is_asked_once_a_round(
    offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    grants = [GrantFactory.create(request__offer=offer) for _ in range(3)]
    ConnectionCheckFactory.create(account=offer.pair.source, finished_at=database_now())
    ConnectionCheckFactory.create(account=offer.pair.target, finished_at=database_now())
    asked: list[int] = []
    done: list[int] = []
    answers = iter([False, True, True, True])

    def nudge(task: object, pk: int, **_: object) -> bool:
        asked.append(pk)
        return next(answers)

    monkeypatch.setattr(tasks, "nudge", nudge)
    monkeypatch.setattr(converge, "converge", done.append)
    sweeper = Sweeper()
    usual = sweeper.rest

    sweeper.sweep()

    assert len(asked) == 1
    assert set(done) == {one.pk for one in grants}
    assert sweeper.rest == sweep.PAUSE_ALONE

    sweeper.sweep()

    assert len(asked) == 4
    assert sweeper.rest == usual


def test_nobody_who_is_to_be_locked_out_waits_long_for_workers_that_are_gone(
    offer: Offer, told: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    revoked = GrantFactory.create(request__offer=offer, revoked_at=database_now())
    other = GrantFactory.create(request__offer=offer)
    done: list[int] = []
    monkeypatch.setattr(converge, "converge", done.append)
    sweeper = Sweeper()
    sweeper.sweep()
    assert {revoked.pk, other.pk} <= {pk for name, pk in told if name == "sallyport.converge"}
    later = database_now() + sweep.LOCK_OUT_PATIENCE + timedelta(seconds=1)
    monkeypatch.setattr(sweep, "database_now", lambda: later)

    sweeper.sweep()

    assert done == [revoked.pk]


def test_a_round_that_went_well_touches_the_heartbeat(
    db: None, settings: Settings, tmp_path: Path
) -> None:
    settings.HEARTBEAT = str(tmp_path / "beat")

    Command()._round(Sweeper())

    assert (tmp_path / "beat").exists()


def test_one_broken_row_does_not_keep_the_others_from_their_turn(
    no_broker: None, offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (GrantFactory.create(request__offer=offer) for _ in range(2))
    done: list[int] = []

    def work(pk: int) -> None:
        if pk == first.pk:
            raise ValueError("a row that nobody can read")
        done.append(pk)

    monkeypatch.setattr(converge, "converge", work)
    monkeypatch.setattr(onboard, "run_check", lambda pk: None)

    Sweeper().sweep()

    assert done == [second.pk]


def test_a_nudge_without_a_broker_fails_quietly(no_broker: None) -> None:
    assert tasks.nudge(tasks.converge_grant, 1) is False


@pytest.fixture
def hung_broker(settings: Settings) -> Iterator[None]:
    """A broker that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        yield


def test_a_nudge_to_a_hung_broker_comes_back(hung_broker: None) -> None:
    assert tasks.nudge(tasks.converge_grant, 1) is False


def test_a_nudge_with_a_broker_leaves_a_message_with_one_number(broker_url: str) -> None:
    store = redis.Redis.from_url(broker_url)
    store.flushall()

    assert tasks.nudge(tasks.converge_grant, 42) is True

    (message,) = store.lrange(django_settings.CELERY_TASK_DEFAULT_QUEUE, 0, -1)
    store.close()
    assert b'"sallyport.converge"' in message
    body = json.loads(base64.b64decode(json.loads(message)["body"]))
    assert body[:2] == [[42], {}]
    assert json.loads(message)["headers"]["eta"] is None


def test_a_nudge_may_say_when_to_begin(broker_url: str) -> None:
    store = redis.Redis.from_url(broker_url)
    store.flushall()
    before = datetime.now(UTC)

    assert tasks.nudge(tasks.converge_grant, 42, delay=MINUTE) is True

    (message,) = store.lrange(django_settings.CELERY_TASK_DEFAULT_QUEUE, 0, -1)
    store.close()
    begins = datetime.fromisoformat(json.loads(message)["headers"]["eta"])
    assert MINUTE <= begins - before < 2 * MINUTE


def test_a_worker_that_finds_nothing_to_do_does_nothing(offer: Offer, alice: User) -> None:
    request = AccessRequestFactory.create(offer=offer, requester=alice, state="cancelled")

    tasks.preview_request(request.pk)
    tasks.converge_grant(10**9)
    tasks.check_connection(10**9)

    assert AccessRequest.objects.get(pk=request.pk).previewed_at is None


def test_a_broker_that_has_forgotten_everything_takes_nudges(broker_url: str) -> None:
    store = redis.Redis.from_url(broker_url)
    tasks.nudge(tasks.converge_grant, 1)
    store.flushall()

    assert tasks.nudge(tasks.converge_grant, 2) is True

    assert store.llen(django_settings.CELERY_TASK_DEFAULT_QUEUE) == 1
    store.close()
