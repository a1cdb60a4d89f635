"""Whether one IAM statement gives at least what another gives.

Not an evaluator: it answers for whole patterns, not for one request. Where it is not sure, it says
no, so that a reader of foreign policies sees too much rather than too little.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from provisioning.core.documents import Document

type Condition = Mapping[tuple[str, str], frozenset[str]]
"""Operator and lower-case key, with the values that satisfy it. All entries must hold."""

PATTERN_LIMIT: Final = 2048
"""Longest action or resource that is read; AWS's ARNs are no longer."""

_WILDCARDS: Final = re.compile(r"[*?]")
_SUBSET_IS_STRICTER: Final = {"StringEquals", "StringLike", "ArnEquals", "ArnLike"}
_PATTERNS: Final = {"StringLike", "ArnEquals", "ArnLike"}
"""Operators whose values are patterns; ArnEquals and ArnLike are the same to AWS."""
_ELEMENTS: Final = {
    "Sid",
    "Effect",
    "Principal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
}


def covers(wide: str, narrow: str) -> bool:
    """Whether everything that matches the pattern `narrow` also matches `wide` (`*` and `?`).

    Compared sign by sign, with one way back to the last `*`: linear in practice, so a hostile
    pattern cannot keep a worker busy as it could with a regular expression.
    """
    if not _WILDCARDS.search(wide):
        return wide == narrow
    wide, narrow = _tidy(wide), _tidy(narrow)
    here = there = mark = 0
    star = -1
    while there < len(narrow):
        if here < len(wide) and wide[here] == "*":
            star, mark = here, there
            here += 1
        elif here < len(wide) and _takes(wide[here], narrow[there]):
            here, there = here + 1, there + 1
        elif star >= 0:
            mark += 1
            here, there = star + 1, mark
        else:
            return False
    return not wide[here:].strip("*")


def meets(one: str, other: str) -> bool:
    """Whether anything at all matches both patterns."""
    fixed = min(_fixed_length(one), _fixed_length(other))
    if one[:fixed] != other[:fixed]:
        return False
    below = [not other[column:].strip("*") for column in range(len(other) + 1)]
    for sign in reversed(one):
        row = [sign == "*" and below[-1]]
        for column in reversed(range(len(other))):
            if sign == "*":
                row.append(below[column] or row[-1])
            elif other[column] == "*":
                row.append(row[-1] or below[column])
            else:
                row.append(
                    below[column + 1] and (sign == other[column] or "?" in sign + other[column])
                )
        below = row[::-1]
    return below[0]


def _fixed_length(pattern: str) -> int:
    """Number of signs before the first wildcard."""
    wildcard = _WILDCARDS.search(pattern)
    return wildcard.start() if wildcard else len(pattern)


def _tidy(pattern: str) -> str:
    """`*?`, `?*` and `**` in one form, so that patterns that mean the same compare alike."""
    return re.sub(r"[*?]{2,}", lambda run: "?" * run[0].count("?") + "*" * ("*" in run[0]), pattern)


def _takes(sign: str, other: str) -> bool:
    return sign == other or (sign == "?" and other != "*")


@dataclass(frozen=True)
class Selector:
    """Some actions or resources: those that match a pattern or, inverted, those that match none."""

    patterns: tuple[str, ...]
    inverted: bool = False
    shown: str = field(default="", compare=False)
    """The patterns as the document writes them, where that differs in case."""

    def __str__(self) -> str:
        named = self.shown or ", ".join(self.patterns)
        return f"everything but {named}" if self.inverted else named

    def covers(self, other: "Selector") -> bool:
        """Whether all of `other` is in this."""
        if not self.inverted:
            return any(
                all(covers(mine, its) for its in other.patterns)
                if not other.inverted
                else mine.strip("*") == ""
                for mine in self.patterns
            )
        if not other.inverted:
            return not any(meets(out, its) for out in self.patterns for its in other.patterns)
        return all(any(covers(its, out) for its in other.patterns) for out in self.patterns)

    def meets(self, other: "Selector") -> bool:
        """Whether the two may have something in common."""
        if self.inverted and other.inverted:
            return True
        if other.inverted:
            return other.meets(self)
        if self.inverted:
            return any(not any(covers(out, its) for out in self.patterns) for its in other.patterns)
        return any(meets(mine, its) for mine in self.patterns for its in other.patterns)


EVERYTHING: Final = Selector(("*",))


@dataclass(frozen=True)
class Statement:
    """One statement, read."""

    label: str
    allows: bool
    actions: tuple[Selector, ...]
    resources: tuple[Selector, ...]
    condition: Condition = field(default_factory=dict)
    principals: tuple[str, ...] = ()

    def holds(self, action: Selector, resource: Selector) -> bool:
        """Whether it speaks of all of these actions on all of these resources."""
        return any(mine.covers(action) for mine in self.actions) and any(
            mine.covers(resource) for mine in self.resources
        )

    def touches(self, action: Selector, resource: Selector) -> bool:
        """Whether it may speak of any of these actions on any of these resources."""
        return any(mine.meets(action) for mine in self.actions) and any(
            mine.meets(resource) for mine in self.resources
        )

    def points(self) -> Iterator[tuple[Selector, Selector]]:
        """Each action with each resource."""
        return ((action, resource) for resource in self.resources for action in self.actions)


def implies(strict: Condition, weak: Condition) -> bool:
    """Whether a request that satisfies `strict` always satisfies `weak`."""
    return all(
        place in strict and _values_imply(place[0], strict[place], weak[place]) for place in weak
    )


def _values_imply(operator: str, strict: frozenset[str], weak: frozenset[str]) -> bool:
    base = operator.rpartition(":")[2]
    if base in _PATTERNS:
        return all(any(covers(wide, value) for wide in weak) for value in strict)
    if base in _SUBSET_IS_STRICTER:
        return strict <= weak
    # With negated, numeric, date and unknown operators more values may mean less or more.
    return strict == weak


@dataclass(frozen=True)
class Reading:
    """What could be read of a document, and a sentence for each statement that could not."""

    statements: tuple[Statement, ...]
    unread: tuple[str, ...] = ()

    @property
    def allows(self) -> tuple[Statement, ...]:
        """The Allow statements."""
        return tuple(one for one in self.statements if one.allows)

    @property
    def denies(self) -> tuple[Statement, ...]:
        """The Deny statements."""
        return tuple(one for one in self.statements if not one.allows)


class UnreadableError(ValueError):
    """A statement holds something that this module does not know."""


def read(*documents: Document, trust: bool = False) -> Reading:
    """Read documents into statements; `trust` for trust policies, which name no resources.

    Never raises: a statement that is malformed, or has an element unknown here, is left out and
    named in `unread`.
    """
    statements: list[Statement] = []
    unread: list[str] = []
    for number, document in enumerate(documents, 1):
        name = f"policy {number}" if len(documents) > 1 else "the policy"
        if not document:
            unread.append(f"{name.capitalize()} could not be read.")
            continue
        suffix = f" of {name}" if len(documents) > 1 else ""
        for place, raw in enumerate(_raw_statements(document), 1):
            label = _label(raw, f"Statement {place}") + suffix
            try:
                statements.append(_statement(raw, label, trust=trust))
            except UnreadableError as error:
                unread.append(f"{label} cannot be judged: {error}.")
    return Reading(tuple(statements), tuple(unread))


def _raw_statements(document: Any) -> list[Any]:
    raw = document.get("Statement") if isinstance(document, Mapping) else None
    if isinstance(raw, Mapping):
        return [raw]
    # A document without a list of statements is one statement that nobody can read.
    return list(raw) if isinstance(raw, list | tuple) else [raw]


def _label(raw: Any, fallback: str) -> str:
    sid = raw.get("Sid") if isinstance(raw, Mapping) else None
    return f"“{sid[:64]}”" if isinstance(sid, str) and sid.isprintable() and sid else fallback


def _statement(raw: Any, label: str, *, trust: bool) -> Statement:
    if not isinstance(raw, Mapping):
        raise UnreadableError("it is no statement")
    unknown = sorted(str(key) for key in raw if key not in _ELEMENTS)
    if unknown:
        raise UnreadableError(f"it has {', '.join(unknown)}")
    if raw.get("Effect") not in ("Allow", "Deny"):
        raise UnreadableError("its Effect is neither Allow nor Deny")
    if trust != ("Principal" in raw):
        raise UnreadableError("it names no principal" if trust else "it names a principal")
    return Statement(
        label=label,
        allows=raw["Effect"] == "Allow",
        actions=_selectors(raw, "Action", fold=True),
        resources=(EVERYTHING,) if trust else _selectors(raw, "Resource"),
        condition=_condition(raw.get("Condition", {})),
        principals=_principals(raw["Principal"]) if trust else (),
    )


def _selectors(raw: Mapping[str, Any], element: str, *, fold: bool = False) -> tuple[Selector, ...]:
    inverted = f"Not{element}" in raw
    if inverted == (element in raw):
        raise UnreadableError(f"it needs one of {element} and Not{element}")
    texts = _texts(raw[f"Not{element}" if inverted else element], element)
    make = actions if fold else Selector
    return (make(texts, True),) if inverted else tuple(make((one,)) for one in texts)


def actions(patterns: tuple[str, ...], inverted: bool = False) -> Selector:
    """Some actions. AWS reads their names without regard to case; resources it does not."""
    folded = tuple(one.lower() for one in patterns)
    return Selector(folded, inverted, shown=", ".join(patterns))


def _texts(value: Any, element: str) -> tuple[str, ...]:
    texts = (value,) if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not texts:
        raise UnreadableError(f"its {element} is no list")
    if not all(isinstance(one, str) and 0 < len(one) <= PATTERN_LIMIT for one in texts):
        raise UnreadableError(f"its {element} holds something that is no short text")
    if any("${" in one for one in texts):
        raise UnreadableError(f"its {element} depends on a policy variable")
    return tuple(texts)


def _condition(raw: Any) -> Condition:
    condition: dict[tuple[str, str], frozenset[str]] = {}
    for operator, keys in _items(raw):
        for key, values in _items(keys):
            place = (operator, key.lower())
            if place in condition:
                raise UnreadableError(f"its Condition names {key} twice")
            condition[place] = frozenset(_value(one) for one in _listed(values))
    return condition


def _items(raw: Any) -> list[tuple[str, Any]]:
    if not isinstance(raw, Mapping) or not all(isinstance(key, str) for key in raw):
        raise UnreadableError("its Condition is malformed")
    return list(raw.items())


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise UnreadableError("its Condition holds something that is no value")


def _principals(raw: Any) -> tuple[str, ...]:
    """AWS principals as ARNs or `*`; an account, however written, as `account <id>`."""
    if raw == "*":
        return ("*",)
    if not isinstance(raw, Mapping) or not raw:
        raise UnreadableError("its Principal is malformed")
    return tuple(
        _account(name) if kind == "AWS" else f"{kind} {name}"
        for kind, names in raw.items()
        for name in _texts(names, "Principal")
    )


def _account(name: str) -> str:
    """IAM writes a whole account as its id or as its root's ARN [AWS-FACTS 4.2]."""
    account = re.fullmatch(r"(?:arn:[a-z-]+:iam::)?([0-9]{12})(?::root)?", name)
    return f"account {account[1]}" if account else name
