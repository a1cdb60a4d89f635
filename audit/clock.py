"""One clock for every decision about time: the database's.

Web, workers and sweepers run on machines whose clocks may differ; the end of a grant must not
depend on which of them looks (THREATS.md, wrong clocks). Pure code takes `now` as an argument;
it is read here, once, at the edge.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from django.db import connection


def database_now() -> datetime:
    """The database's present time, aware, UTC, with microseconds."""
    if connection.vendor == "sqlite":
        # SQLite lives inside this process: its clock is this machine's clock.
        return datetime.now(UTC)
    with connection.cursor() as cursor:
        cursor.execute("SELECT CLOCK_TIMESTAMP()")
        (now,) = cursor.fetchone()
    value: datetime = now
    return value.astimezone(UTC)


def carried_on(now: datetime) -> Callable[[], datetime]:
    """The database's clock, read once as `now` and carried on here for one operation.

    By the clock that runs on while the machine sleeps: whoever wakes up late must know it.
    """
    began = _running()
    return lambda: now + timedelta(seconds=_running() - began)


def _running() -> float:
    """Seconds since the machine was started, or since another fixed moment."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)
