"""Rules that hold for a whole row's history, which no CHECK can say: database triggers.

Written for PostgreSQL and SQLite alike. Both raise IntegrityError with the rule's name in its
text, so that a test, a log and a person can tell which rule refused.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from django.db import migrations
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

    For rules that another version is to follow; what stays as it is needs `keeping_rules`.
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


def keeping_rules(*operations: migrations.operations.base.Operation) -> list[Any]:
    """Migration operations between which no rule is lost.

    SQLite makes a table anew for a constraint or a column with a default. It forgets the table's
    triggers then, and stumbles over those of other tables that name it. So all are put aside
    before the operations and back after them. PostgreSQL needs none of that.
    """
    aside: list[str] = []

    def put_aside(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
        if editor.connection.vendor != "sqlite":
            return
        with editor.connection.cursor() as cursor:
            cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
            rows = cursor.fetchall()
        aside[:] = [sql for _, sql in rows]
        for name, _ in rows:
            editor.execute(f"DROP TRIGGER {name}")

    def put_back(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
        for sql in aside:
            editor.execute(sql, params=None)

    return [RunPython(put_aside, put_back), *operations, RunPython(put_back, put_aside)]
