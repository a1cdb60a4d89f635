"""All workers together stay within what an account takes."""

import threading
import time
from datetime import timedelta

import pytest
from django.db import connection
from pytest_django.fixtures import Settings

from accounts.models import AccountPair, AwsAccount, ConnectionCheck, IamIdentity, Offer
from audit.clock import database_now
from provisioning import services
from provisioning.core import pace
from provisioning.engine import converge, onboard, pacing, switch_groups
from provisioning.models import AccountPace, Grant
from tests.aws_world import Approved, Aws

TARGET = "222222222222"


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What was slept, instead of sleeping."""
    times: list[float] = []
    monkeypatch.setattr(time, "sleep", times.append)
    return times


def settled(grant: Grant) -> Grant:
    converge.converge(grant.pk)
    return Grant.objects.with_parties().get(pk=grant.pk)


def fill(account: AwsAccount, ahead: timedelta) -> None:
    """Promise the account's room away for some time."""
    pacing.take(account, 0)
    AccountPace.objects.filter(account=account).update(free_at=database_now() + ahead)


def test_a_worker_waits_a_little_for_room(
    target: AwsAccount, waited: list[float], settings: Settings
) -> None:
    settings.CALLS_PER_SECOND = 10.0
    pacing.take(target, pace.BURST + 9)

    pacing.take(target, 1)

    assert [round(one, 1) for one in waited] == [1.0]


def test_a_worker_does_not_wait_long(
    target: AwsAccount, waited: list[float], settings: Settings
) -> None:
    settings.CALLS_PER_SECOND = 10.0
    pacing.take(target, pace.BURST + 100)

    with pytest.raises(pacing.TooFast, match="AWS takes no more calls for 10 s") as caught:
        pacing.take(target, 1)

    assert caught.value.wait == pytest.approx(timedelta(seconds=10), abs=timedelta(seconds=1))
    assert waited == []


def test_one_account_does_not_slow_another(
    source: AwsAccount, target: AwsAccount, waited: list[float]
) -> None:
    fill(target, timedelta(hours=1))

    pacing.take(source, 1)

    assert waited == []


def test_a_grant_without_room_comes_back_later_and_nothing_was_tried(
    approved: Approved, aws: Aws, target: AwsAccount
) -> None:
    grant = approved()
    fill(target, timedelta(minutes=1))

    grant = settled(grant)

    assert (grant.phase, grant.attempts, grant.last_error) == ("pending", 0, "")
    assert grant.leased_until is None
    assert grant.next_check_at is not None
    assert grant.next_check_at > database_now() + timedelta(seconds=30)
    assert aws.issued_roles(TARGET) == []


def test_a_revocation_does_not_wait_for_room(
    approved: Approved, aws: Aws, target: AwsAccount, source: AwsAccount
) -> None:
    grant = settled(approved())
    fill(target, timedelta(hours=1))
    fill(source, timedelta(hours=1))

    services.revoke(person=grant.requester, grant=grant, reason="")
    grant = settled(grant)

    assert (grant.phase, grant.locked_out_at is not None) == ("ended", True)
    assert aws.issued_roles(TARGET) == []


def test_other_work_without_room_stays_due(
    scene: Offer, source: AwsAccount, pair: AccountPair
) -> None:
    check = ConnectionCheck.objects.create(account=source, asked_by="dana")
    IamIdentity.objects.update(next_check_at=database_now())
    fill(source, timedelta(minutes=1))

    switch_groups.prepare_pair(pair.pk)
    onboard.run_check(check.pk)
    onboard.verify_identity(IamIdentity.objects.get().pk)

    pair.refresh_from_db()
    check.refresh_from_db()
    assert (pair.state, check.started_at, check.finished_at) == ("making", None, None)
    assert IamIdentity.objects.get().state == "looking"


def test_throttling_is_learnt_for_all_workers(target: AwsAccount, settings: Settings) -> None:
    pacing.take(target, 1)
    pacing.learn(target, throttled=0)
    assert AccountPace.objects.get(account=target).slowed_at is None

    pacing.learn(target, throttled=3)

    slowed = AccountPace.objects.get(account=target)
    assert slowed.rate == pytest.approx(settings.CALLS_PER_SECOND * pace.SLOW_DOWN)


@pytest.mark.django_db(transaction=True)
def test_workers_that_ask_at_the_same_moment_do_not_share_room(settings: Settings) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite lets one writer in at a time anyway.")
    from tests.factories import AwsAccountFactory

    account = AwsAccountFactory.create()
    settings.CALLS_PER_SECOND = 1000.0

    def ask() -> None:
        try:
            for _ in range(5):
                pacing.take(account, 10)
        finally:
            connection.close()

    began = database_now()
    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    row = AccountPace.objects.get(account=account)
    assert row.turn == 30
    promised = row.free_at - began + timedelta(seconds=pace.BURST / 1000)
    assert promised >= timedelta(seconds=0.3) - timedelta(milliseconds=1)


def test_the_calls_of_a_revocation_are_counted_when_they_have_been_made(
    approved: Approved, target: AwsAccount, settings: Settings
) -> None:
    settings.CALLS_PER_SECOND = 10.0
    grant = settled(approved())
    AccountPace.objects.update(free_at=database_now() + timedelta(seconds=20), slowed_at=None)
    before = AccountPace.objects.get(account=target).free_at

    services.revoke(person=grant.requester, grant=grant, reason="")
    grant = settled(grant)

    assert grant.phase == "ended"
    # Six calls at ten a second.
    assert AccountPace.objects.get(account=target).free_at - before == timedelta(seconds=0.6)


def test_locking_out_does_not_even_ask_for_room(
    approved: Approved, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever holds the row of the pace keeps nobody in."""

    def hold(*_: object, **__: object) -> None:
        raise AssertionError("asked")

    grant = settled(approved())
    services.revoke(person=grant.requester, grant=grant, reason="")
    monkeypatch.setattr(pacing, "take_all", hold)
    grant = settled(grant)

    assert (grant.phase, aws.issued_roles(TARGET)) == ("ended", [])
