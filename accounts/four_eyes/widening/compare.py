"""Comparing two snapshots of a rule, field by field."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from accounts.four_eyes.widening import judges
from accounts.four_eyes.widening.fields import Context, Field, as_whole, difference, unknown
from accounts.four_eyes.widening.offers import OFFER
from accounts.four_eyes.widening.people import GROUP, PERSON, SECOND_ADMIN
from accounts.four_eyes.widening.profiles import PROFILE
from accounts.four_eyes.widening.words import Difference, Direction, Kind, Names, Snapshot

FIELDS: Final[Mapping[Kind, Mapping[str, Field]]] = {
    Kind.OFFER: OFFER,
    Kind.PROFILE: PROFILE,
    Kind.GROUP: GROUP,
    Kind.PERSON: PERSON,
    Kind.SECOND_ADMIN: SECOND_ADMIN,
}


def differences(
    kind: Kind, before: Snapshot | None, after: Snapshot, names: Names | None = None
) -> tuple[Difference, ...]:
    """Every field that differs, widening ones first. Without `before` the rule is a new one.

    An offer that opens is judged as a new one: while it was closed nobody could use it, and whoever
    confirms its opening has to see all of it.
    """
    names, fields = names or {}, FIELDS[kind]
    whole = _takes_effect_as_a_whole(kind, before, after)
    found = []
    for name in dict.fromkeys([*fields, *(before or ()), *after]):
        field = fields.get(name) or unknown(name)
        old, new = (before or {}).get(name), after.get(name)
        if before is None and new in (None, "", [], False):
            continue
        if whole:
            found.append(as_whole(name, field, before, new, names))
        elif before is None:
            # An offer that is made closed: nobody can use it before it opens.
            found.append(difference(name, replace(field, judge=judges.neutral), old, new, names))
        elif old != new:
            found.extend(field.compare(name, field, old, new, Context(before, after, names)))
    order = list(Direction)
    return tuple(sorted(found, key=lambda one: order.index(one.direction)))


def widens(found: tuple[Difference, ...]) -> bool:
    """Whether a change needs a second admin."""
    return any(one.direction is Direction.WIDENING for one in found)


def narrows(found: tuple[Difference, ...]) -> bool:
    """Whether a part of a change could take effect at once."""
    return any(one.direction is Direction.NARROWING for one in found)


def _takes_effect_as_a_whole(kind: Kind, before: Snapshot | None, after: Snapshot) -> bool:
    if kind is Kind.OFFER:
        return after.get("is_active") is not False and not (before and before.get("is_active"))
    return before is None
