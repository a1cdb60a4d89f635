"""How many calls an account takes: a token bucket that learns from throttling.

AWS publishes no limits for IAM [AWS-FACTS 7.1]. So the pace begins at what the operators set,
falls when AWS throttles, and recovers slowly. It is one value for each account, shared by all
workers through the database.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

BURST: Final = 30
"""Calls that may come at once after a pause: some grants' worth. Well below what accounts seem to
take, because a call arrives a little later than it was promised, and then close upon the next."""
SLOWEST: Final = 1.0
"""Calls a second that are always allowed, or nothing would ever be removed."""
SLOW_DOWN: Final = 0.7
PAUSE: Final = timedelta(seconds=1)
ECHO: Final = timedelta(seconds=5)
"""For so long calls are on their way that were promised before the account was slowed down, with
the repetitions that botocore makes by itself. That they are throttled too says nothing new."""
LONGEST: Final = timedelta(minutes=1)
"""No account is closed for longer: not by calls that asked nobody, and not by a clock that was set
back."""
DOUBLES: Final = timedelta(minutes=1)
"""How long it takes to be twice as fast again. In proportion, so that it goes over a limit that
nobody knows by little, and seldom: about every half minute."""


@dataclass(frozen=True)
class Pace:
    """Where an account stands. `free_at` is when the calls promised so far will be over."""

    rate: float
    """Calls a second."""
    free_at: datetime
    slowed_at: datetime | None = None


def take(pace: Pace, calls: int, *, now: datetime, fastest: float) -> tuple[Pace, timedelta]:
    """Promise `calls` calls: the pace afterwards, and how long to wait until there is room for all
    of them, because they are made one right after the other; for a burst, where they are more."""
    rate = rate_at(pace, now, fastest)
    # In the past where a burst is allowed.
    earliest = now - timedelta(seconds=BURST / rate)
    begins = min(max(pace.free_at, earliest), now + LONGEST)
    after = replace(pace, free_at=begins + timedelta(seconds=calls / rate))
    together = begins + timedelta(seconds=min(calls, BURST) / rate)
    return after, max(together - now, timedelta(0))


def rate_at(pace: Pace, now: datetime, fastest: float) -> float:
    """Calls a second at this moment: the faster again, the longer ago AWS throttled."""
    if pace.slowed_at is None:
        return fastest
    # A clock that went back opens nothing; sixty doublings are more than any pace needs.
    doublings = min(max((now - pace.slowed_at) / DOUBLES, 0.0), 60.0)
    return float(min(fastest, max(pace.rate, SLOWEST) * 2**doublings))


def throttled(pace: Pace, *, now: datetime, fastest: float) -> Pace:
    """The pace after AWS has throttled. All answers within `ECHO` count as one."""
    if pace.slowed_at is not None and now - pace.slowed_at < ECHO:
        return pace
    rate = max(rate_at(pace, now, fastest) * SLOW_DOWN, SLOWEST)
    return Pace(rate=rate, free_at=max(pace.free_at, now + PAUSE), slowed_at=now)
