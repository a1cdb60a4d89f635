"""Time that passes for everybody at once: PostgreSQL's clock and AWS's, put ahead together.

The product asks one clock, the database's. So the database answers with a later time: a schema
that is searched before PostgreSQL's own has functions of the same names. Every process and every
thread on this database sees the same time, and no line of the product is replaced. What a column's
default calls was settled when the column was made, so these defaults are pointed there as well.
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
_DEFAULTS = """
DO $$
DECLARE
  one record;
BEGIN
  FOR one IN
    SELECT attrelid::regclass AS relation, attname AS name
    FROM pg_attrdef JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
    WHERE pg_get_expr(adbin, adrelid) LIKE '%statement_timestamp()'
  LOOP
    EXECUTE format('ALTER TABLE %s ALTER %I SET DEFAULT {schema}.statement_timestamp()',
                   one.relation, one.name);
  END LOOP;
END $$;
"""


@contextmanager
def movable_clock() -> Iterator[None]:
    """While the block lasts, `put_ahead` decides what time this database says it is."""
    _run(_MAKE + _DEFAULTS, "test_clock")
    try:
        yield
    finally:
        _run(_DEFAULTS + _FORGET, "pg_catalog")


def put_ahead(by: timedelta) -> None:
    """Let the database's clock be this much ahead of the machine's."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE test_clock.ahead SET by_how_much = make_interval(secs => %s)",
            [by.total_seconds()],
        )


def _run(script: str, schema: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(script.format(name=connection.settings_dict["NAME"], schema=schema))
    # What is searched is decided when a connection is opened.
    connections.close_all()
