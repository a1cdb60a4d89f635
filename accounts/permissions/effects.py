"""What a policy document gives, as sets: which services it reads, changes, shares.

An upper bound. Conditions and resources are passed over, so it may say more than AWS would allow,
and never less, among the actions that are known.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from functools import cache, lru_cache
from typing import Any, Final

from accounts.permissions import catalogue, knowledge
from accounts.permissions.catalogue import Level

CHANGING: Final = {Level.WRITE, Level.TAGGING, Level.SHARING}


@dataclass(frozen=True)
class Effects:
    """What is given within the boundary of Sallyport's template, by prefixes of services."""

    settings: frozenset[str] = frozenset()
    data: frozenset[str] = frozenset()
    changes: frozenset[str] = frozenset()
    shares: frozenset[str] = frozenset()
    """Where permissions of the resources themselves can be changed, which outlasts the access."""
    blocked: frozenset[str] = frozenset()
    """Where the boundary takes something away."""
    notable: frozenset[str] = frozenset()
    """Single actions that are told by name: for escalations, credentials, loose settings."""
    whole: frozenset[str] = frozenset()
    """Services of which every action is given, changes included."""

    def __or__(self, other: "Effects") -> "Effects":
        return Effects(
            *(getattr(self, one.name) | getattr(other, one.name) for one in fields(Effects))
        )

    def as_data(self) -> dict[str, list[str]]:
        """For a data file; empty sets are left out."""
        return {
            one.name: sorted(getattr(self, one.name))
            for one in fields(self)
            if getattr(self, one.name)
        }

    @classmethod
    def from_data(cls, stored: dict[str, list[str]]) -> "Effects":
        """Back from a data file."""
        return cls(**{name: frozenset(values) for name, values in stored.items()})

    @property
    def escalations(self) -> tuple[knowledge.Escalation, ...]:
        """Published ways to more that are open, whatever a boundary says to them."""
        return tuple(one for one in knowledge.ESCALATIONS if one.opened_by(self.notable))


NOTHING: Final = Effects()


def of(document: dict[str, Any]) -> Effects:
    """What a document that AWS takes gives."""
    return _of_text(json.dumps(document, sort_keys=True))


@lru_cache(maxsize=256)
def _of_text(text: str) -> Effects:
    return of_actions(allowed(json.loads(text)))


def forget() -> None:
    """Drop what was worked out with another list of actions."""
    kept: tuple[Any, ...] = (
        catalogue._file,
        catalogue.services,
        catalogue.everything,
        catalogue.every_action,
        catalogue.whole_service,
        knowledge.named,
        knowledge.data,
        knowledge.credentials,
        knowledge.loose_settings,
        knowledge.identity_changes,
        knowledge.forbidden_by_boundary,
        noted,
        _of_text,
    )
    for cached in kept:
        cached.cache_clear()


def allowed(document: dict[str, Any]) -> frozenset[str]:
    """The known actions that some statement allows and none denies everywhere and always."""
    given: set[str] = set()
    taken: set[str] = set()
    for statement in statements(document):
        if statement.get("Effect") == "Allow":
            given |= actions_of(statement)
        elif statement.get("Resource") in ("*", ["*"]) and not statement.get("Condition"):
            taken |= actions_of(statement)
    return frozenset(given - taken)


def statements(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The statements that are objects; AWS takes one for a list of one."""
    yield from (one for one in listed(document.get("Statement")) if isinstance(one, dict))


def actions_of(statement: dict[str, Any]) -> frozenset[str]:
    """The known actions that a statement is about."""
    named = _union(statement.get("Action"))
    if "NotAction" not in statement:
        return named
    return named | (catalogue.every_action() - _union(statement["NotAction"]))


def _union(patterns: Any) -> frozenset[str]:
    texts = {one for one in listed(patterns) if isinstance(one, str)}
    return frozenset().union(*(catalogue.covered(one) for one in texts))


def listed(value: Any) -> list[Any]:
    """AWS takes one thing for a list of one."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def of_actions(actions: frozenset[str]) -> Effects:
    """Sorts actions by what they do."""
    levels = catalogue.everything()
    within = actions - knowledge.forbidden_by_boundary()
    changing = {one for one in within if is_change(one)}
    reading = within - changing
    changed = _prefixes(one for one in actions if is_change(one))
    return Effects(
        settings=_prefixes(reading - knowledge.data()),
        data=_prefixes(within & knowledge.data()),
        changes=_prefixes(changing),
        shares=_prefixes(one for one in changing if levels[one] is Level.SHARING),
        blocked=_prefixes(actions - within),
        notable=actions & noted(),
        whole=frozenset(one for one in changed if catalogue.whole_service(one) <= actions),
    )


def is_change(action: str) -> bool:
    """Whether an action changes something."""
    if action in knowledge.NOT_A_CHANGE or knowledge.READING_NAMES.fullmatch(
        action.partition(":")[2]
    ):
        return False
    return catalogue.everything()[action] in CHANGING


@cache
def noted() -> frozenset[str]:
    """Actions that are told by name."""
    return knowledge.ingredients() | knowledge.credentials() | knowledge.loose_settings()


def _prefixes(actions: Iterable[str]) -> frozenset[str]:
    return frozenset(one.partition(":")[0] for one in actions)
