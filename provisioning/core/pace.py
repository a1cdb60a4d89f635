"""How many calls an account takes: a token bucket that learns from throttling.

AWS publishes no limits for IAM [AWS-FACTS 7.1]. So the pace begins at what the operators set,
falls when AWS throttles, and recovers slowly. It is one value for each account, shared by all
workers through the database.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

BURST: Final = 40
"""Calls that may come at once after a pause: some grants' worth."""
SLOWEST: Final = 1.0
"""Calls a second that are always allowed, or nothing would ever be removed."""
SLOW_DOWN: Final = 0.7
PAUSE: Final = timedelta(seconds=1)
LONGEST: Final = timedelta(minutes=1)
"""No account is closed for longer: not by urgent calls, and not by a clock that was set back."""
RECOVERY: Final = timedelta(minutes=10)
"""How long the way back from the slowest to the fastest pace takes."""


@dataclass(frozen=True)
class Pace:
    """Where an account stands. `free_at` is when the calls promised so far will be over."""

    rate: float
    """Calls a second."""
    free_at: datetime
    slowed_at: datetime | None = None


def take(pace: Pace, calls: int, *, now: datetime, fastest: float) -> tuple[Pace, timedelta]:
    """Promise `calls` calls: the pace afterwards, and how long to wait before the first."""
    rate = rate_at(pace, now, fastest)
    begins = _begins(pace, rate, now)
    after = replace(pace, free_at=begins + timedelta(seconds=calls / rate))
    return after, max(begins - now, timedelta(0))


def room(pace: Pace, *, now: datetime, ahead: timedelta, fastest: float) -> float:
    """How many calls may still be promised that begin before `ahead` is over."""
    rate = rate_at(pace, now, fastest)
    return max(0.0, (now + ahead - _begins(pace, rate, now)).total_seconds() * rate)


def _begins(pace: Pace, rate: float, now: datetime) -> datetime:
    """When the next call that is promised may begin: in the past where a burst is allowed."""
    earliest = now - timedelta(seconds=BURST / rate)
    return min(max(pace.free_at, earliest), now + LONGEST)


def rate_at(pace: Pace, now: datetime, fastest: float) -> float:
    """Calls a second at this moment: recovering in proportion to the time since AWS throttled."""
    if pace.slowed_at is None:
        return fastest
    recovered = fastest * ((now - pace.slowed_at) / RECOVERY)
    return min(fastest, max(pace.rate, SLOWEST) + max(recovered, 0.0))


def throttled(pace: Pace, *, now: datetime, fastest: float) -> Pace:
    """The pace after AWS has throttled. Many answers within a second count as one."""
    if pace.slowed_at is not None and now - pace.slowed_at < PAUSE:
        return pace
    rate = max(rate_at(pace, now, fastest) * SLOW_DOWN, SLOWEST)
    return Pace(rate=rate, free_at=max(pace.free_at, now + PAUSE), slowed_at=now)
