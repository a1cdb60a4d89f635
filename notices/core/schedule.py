"""When to try again, and when to remind."""

from datetime import datetime, timedelta
from typing import Final

RETRIES: Final = tuple(
    timedelta(seconds=one)
    for one in (30, 60, 120, 300, 600, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600)
)
"""Between one attempt and the next: about a day in all, then a notice has failed."""

REMINDERS: Final = (timedelta(minutes=15), timedelta(hours=1), timedelta(hours=4))
"""After a request was asked; from the last one on once a day, until it lapses."""
DAY: Final = timedelta(days=1)


def next_try(attempts: int, now: datetime, *, jitter: float) -> datetime | None:
    """When to try again after so many attempts that failed; None when it was tried enough.

    `jitter` is between 0 and 1 and stretches the wait by up to a fifth, so that a thousand notices
    do not come back together when a mail server does.
    """
    if attempts > len(RETRIES):
        return None
    return now + RETRIES[attempts - 1] * (1 + jitter / 5)


def reminder_at(number: int, asked_at: datetime, lapses_at: datetime) -> datetime | None:
    """When approvers are reminded for the `number`th time, from 1 on; None when it would be too
    late."""
    done = len(REMINDERS)
    after = REMINDERS[number - 1] if number <= done else DAY * (number - done)
    at = asked_at + after
    return at if at < lapses_at else None
