"""Keeping all workers together within what an account takes.

A worker says before an operation about how many calls it will make, and is told how long to wait.
What locks somebody out does not even ask: its calls are counted afterwards, and others wait longer
for them.
"""

import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F

from accounts.models import AwsAccount
from audit.clock import database_now
from provisioning.core import pace
from provisioning.core.pace import Pace
from provisioning.models import AccountPace

log = structlog.get_logger(__name__)

PATIENCE: Final = timedelta(seconds=2)
"""The longest that a worker waits with its hands in its lap; for longer it does other work."""
TRIES: Final = 20


class TooFast(Exception):
    """The account has no room at the moment. `wait` says when there will be some."""

    def __init__(self, wait: timedelta) -> None:
        super().__init__(f"AWS takes no more calls for {wait.total_seconds():.0f} s.")
        self.wait = wait


def take(account: AwsAccount, calls: int) -> None:
    """Wait until an account has room for some calls. Raises TooFast when that takes too long."""
    for _ in range(TRIES):
        row = _row(account)
        before = _pace(row)
        after, wait = _promise(before, calls, database_now())
        if wait > PATIENCE:
            raise TooFast(wait)
        if _replace(row, before, after):
            if wait:
                time.sleep(wait.total_seconds())
            return
    # Many workers want the same account: whoever lost so often comes back later.
    raise TooFast(PATIENCE)


def count(calls: Mapping[AwsAccount, int], *, now: datetime) -> None:
    """Count calls that were made without asking. Where many count at the same moment, a wrong sum
    does no harm, so it is tried a few times only."""
    if _take_where_idle(calls, now):
        return
    for account, number in calls.items():
        for _ in range(TRIES):
            row = _row(account)
            before = _pace(row)
            if _replace(row, before, _promise(before, number, now)[0]):
                break


def _promise(before: Pace, calls: int, now: datetime) -> tuple[Pace, timedelta]:
    return pace.take(before, calls, now=now, fastest=settings.CALLS_PER_SECOND)


def has_room(account: AwsAccount, calls: int) -> bool:
    """`take` for work that stays due in the database: False when it should come again later."""
    try:
        take(account, calls)
    except TooFast:
        return False
    return True


class Admission:
    """Who of many that are due goes to the workers, and when: as many as their accounts have room
    for until the next round, each at about its turn.

    The rest stay due in the database. A worker that finds no room has claimed a grant and given it
    back for nothing, and with a thousand ends at once it would do little else.
    """

    def __init__(self, now: datetime, ahead: timedelta) -> None:
        self._now, self._ahead = now, ahead
        self._paces: dict[int, Pace] = {}

    def turn(self, calls: Mapping[AwsAccount, int]) -> timedelta | None:
        """How long these calls have to wait, and counts them; None when it is not their turn before
        `ahead` is over."""
        promised = {one.pk: self._promised(one, number) for one, number in calls.items()}
        wait = max(wait for _, wait in promised.values())
        if wait >= self._ahead:
            return None
        self._paces |= {key: after for key, (after, _) in promised.items()}
        return wait

    def count(self, calls: Mapping[AwsAccount, int]) -> None:
        """Count the calls of what waits for nothing."""
        for account, number in calls.items():
            self._paces[account.pk], _ = self._promised(account, number)

    def _promised(self, account: AwsAccount, calls: int) -> tuple[Pace, timedelta]:
        before = self._paces.get(account.pk) or _pace(_row(account))
        return _promise(before, calls, self._now)


def take_all(room: Mapping[AwsAccount, int], *, now: datetime) -> None:
    """`take` in several accounts."""
    if _take_where_idle(room, now):
        return
    # The account with the most to do first: it is the likeliest to have no room, and what the
    # others had promised by then would be lost.
    for account, number in sorted(room.items(), key=lambda one: -one[1]):
        take(account, number)


def _take_where_idle(room: Mapping[AwsAccount, int], now: datetime) -> bool:
    """Promise the calls in all accounts that are idle, with one query. Whether all of them were, as
    they mostly are."""
    rate, calls = settings.CALLS_PER_SECOND, max(room.values())
    idle_since = now - timedelta(seconds=pace.BURST / rate)
    idle = AccountPace.objects.filter(
        account__in=room, slowed_at__isnull=True, free_at__lte=idle_since
    )
    begun = idle_since + timedelta(seconds=calls / rate)
    return idle.update(free_at=begun, turn=F("turn") + 1) == len(room)


def learn(account: AwsAccount, throttled: int) -> None:
    """Slow down after AWS throttled some calls."""
    if not throttled:
        return
    for _ in range(TRIES):
        row = _row(account)
        before = _pace(row)
        after = pace.throttled(before, now=database_now(), fastest=settings.CALLS_PER_SECOND)
        if _replace(row, before, after):
            log.warning("account_throttled", account=account.account_id, rate=after.rate)
            return


def _row(account: AwsAccount) -> AccountPace:
    row = AccountPace.objects.filter(pk=account.pk).first()
    if row is not None:
        return row
    first = AccountPace(
        account=account, rate=settings.CALLS_PER_SECOND, free_at=database_now() - timedelta(days=1)
    )
    try:
        with transaction.atomic():
            first.save(force_insert=True)
    except IntegrityError:
        return AccountPace.objects.get(pk=account.pk)
    return first


def _pace(row: AccountPace) -> Pace:
    return Pace(row.rate, row.free_at, row.slowed_at)


def _replace(row: AccountPace, before: Pace, after: Pace) -> bool:
    """Compare and set: False when another worker was quicker."""
    same = AccountPace.objects.filter(pk=row.pk, turn=row.turn)
    changed = same.update(
        rate=after.rate, free_at=after.free_at, slowed_at=after.slowed_at, turn=row.turn + 1
    )
    return changed == 1
