"""Rules that hold for a whole row's history, which no CHECK can say: database triggers.

Written for PostgreSQL and SQLite alike. Both raise IntegrityError with the rule's name in its
text, so that a test, a log and a person can tell which rule refused.
"""

from collections.abc import Callable, Sequence
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


type Operation = Callable[[StateApps, BaseDatabaseSchemaEditor], None]


def enforce(*rules: Rule) -> RunPython:
    """A migration operation that puts rules in force, and takes them away again in reverse."""
    return RunPython(_creating(rules), _dropping(rules))


def lift(*rules: Rule) -> RunPython:
    """A migration operation that takes rules away, and puts them in force again in reverse.

    Also needed around a change of a table's CHECK constraints: SQLite makes the table anew for it
    and forgets the triggers.
    """
    return RunPython(_dropping(rules), _creating(rules))


def _creating(rules: Sequence[Rule]) -> Operation:
    return _executing(lambda vendor: [one for rule in rules for one in rule.create(vendor)])


def _dropping(rules: Sequence[Rule]) -> Operation:
    return _executing(lambda vendor: [one for rule in rules for one in rule.drop(vendor)])


def _executing(statements: Callable[[str], list[str]]) -> Operation:
    def run(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
        for statement in statements(editor.connection.vendor):
            editor.execute(statement)

    return run
