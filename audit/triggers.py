"""Rules that hold for a whole row's history, which no CHECK can say: database triggers.

Written for PostgreSQL and SQLite alike. Both raise IntegrityError with the rule's name in its
text, so that a test, a log and a person can tell which rule refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import RunPython
from django.db.migrations.state import StateApps

type Event = Literal["INSERT", "UPDATE", "DELETE"]


@dataclass(frozen=True)
class Rule:
    """A row is refused when `refused_when` holds for it, at one of `events`.

    The condition is SQL that both databases read the same, over NEW and OLD.
    """

    name: str
    table: str
    events: Sequence[Event]
    refused_when: str
    message: str

    def create(self, vendor: str) -> list[str]:
        """The statements that put the rule in force."""
        return self._postgresql() if vendor == "postgresql" else self._sqlite()

    def drop(self, vendor: str) -> list[str]:
        """The statements that take it away."""
        if vendor == "postgresql":
            function = f"DROP FUNCTION IF EXISTS {self.name}()"
            return [f"DROP TRIGGER IF EXISTS {self.name} ON {self.table}", function]
        return [f"DROP TRIGGER IF EXISTS {self.name}_{event.lower()}" for event in self.events]

    def _postgresql(self) -> list[str]:
        result = "OLD" if "DELETE" in self.events else "NEW"
        return [
            f"""CREATE FUNCTION {self.name}() RETURNS trigger LANGUAGE plpgsql AS $rule$
            BEGIN
              IF {self.refused_when} THEN
                RAISE EXCEPTION '{self.name}: {self.message}'
                  USING ERRCODE = 'check_violation', CONSTRAINT = '{self.name}';
              END IF;
              RETURN {result};
            END $rule$""",
            f"""CREATE TRIGGER {self.name} BEFORE {" OR ".join(self.events)} ON {self.table}
            FOR EACH ROW EXECUTE FUNCTION {self.name}()""",
        ]

    def _sqlite(self) -> list[str]:
        return [
            f"""CREATE TRIGGER {self.name}_{event.lower()} BEFORE {event} ON {self.table}
            FOR EACH ROW WHEN {self.refused_when}
            BEGIN SELECT RAISE(ABORT, '{self.name}: {self.message}'); END"""
            for event in self.events
        ]


def enforce(*rules: Rule) -> RunPython:
    """A migration operation that puts rules in force, and takes them away again in reverse."""

    def forwards(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
        for rule in rules:
            for statement in rule.create(editor.connection.vendor):
                editor.execute(statement)

    def backwards(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
        for rule in rules:
            for statement in rule.drop(editor.connection.vendor):
                editor.execute(statement)

    return RunPython(forwards, backwards)


def lift(*rules: Rule) -> RunPython:
    """A migration operation that takes rules away, and puts them in force again in reverse.

    For a table that SQLite makes anew: its triggers go with it, and those that read it get in the
    way. Put what stays back in force after it.
    """
    operation = enforce(*rules)
    assert operation.reverse_code is not None  # noqa: S101  # For the type.
    return RunPython(operation.reverse_code, operation.code)
