"""One clock for every decision about time: the database's.

Web, workers and sweepers run on machines whose clocks may differ; the end of a grant must not
depend on which of them looks (THREATS.md, wrong clocks). Pure code takes `now` as an argument;
it is read here, once, at the edge.
"""

from datetime import UTC, datetime

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
