"""What every move shares: who moves where no person does, and how long to wait after a failure."""

import random
from datetime import datetime, timedelta

WORKER = "system:worker"
SWEEPER = "system:sweeper"
LONGEST_BACK_OFF = timedelta(minutes=5)
MOVED_ON = "This request has been decided or withdrawn meanwhile."


class StaleState(Exception):
    """Somebody else moved the thing meanwhile; nothing was changed."""


def utc(moment: datetime | None) -> str:
    """A moment in the sentence of an event."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def back_off(attempts: int, longest: timedelta = LONGEST_BACK_OFF) -> timedelta:
    """Doubling from 2 seconds to the longest, with jitter so that a thousand do not come at once.

    With any number of attempts: a removal is tried for ever.
    """
    seconds = min(2.0 ** min(attempts, 16), longest.total_seconds())
    return timedelta(seconds=seconds * random.uniform(0.75, 1.25))  # noqa: S311  # Not a secret.
