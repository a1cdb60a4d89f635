"""Time that passes for everybody at once: PostgreSQL's clock and AWS's, put ahead together.

The product asks one clock, the database's. So the database answers with a later time: a schema
that is searched before PostgreSQL's own has functions of the same names. Every process and every
thread on this database sees the same time, and no line of the product is replaced.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.db import connection, connections

_MAKE = """
CREATE SCHEMA IF NOT EXISTS test_clock;
CREATE TABLE IF NOT EXISTS test_clock.ahead (by_how_much interval NOT NULL);
TRUNCATE test_clock.ahead;
INSERT INTO test_clock.ahead VALUES ('0');
CREATE OR REPLACE FUNCTION test_clock.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS
  'SELECT pg_catalog.clock_timestamp() + by_how_much FROM test_clock.ahead';
CREATE OR REPLACE FUNCTION test_clock.statement_timestamp() RETURNS timestamptz LANGUAGE sql AS
  'SELECT pg_catalog.statement_timestamp() + by_how_much FROM test_clock.ahead';
ALTER DATABASE "{name}" SET search_path = test_clock, public, pg_catalog;
"""
_FORGET = 'ALTER DATABASE "{name}" RESET search_path; DROP SCHEMA IF EXISTS test_clock CASCADE;'


@contextmanager
def movable_clock() -> Iterator[None]:
    """While the block lasts, `put_ahead` decides what time this database says it is."""
    _run(_MAKE)
    try:
        yield
    finally:
        _run(_FORGET)


def put_ahead(by: timedelta) -> None:
    """Let the database's clock be this much ahead of the machine's."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE test_clock.ahead SET by_how_much = make_interval(secs => %s)",
            [by.total_seconds()],
        )


def _run(script: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(script.format(name=connection.settings_dict["NAME"]))
    # What is searched is decided when a connection is opened.
    connections.close_all()
