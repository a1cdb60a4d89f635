"""What a change of a rule amounts to: which of its fields let more happen, which less. Pure.

A rule is compared as data: two snapshots, as `accounts.snapshots` takes them. Unknown means closed
(I10): a field that nobody has described here counts as widening when it changes, and so does
every change that is not known to narrow.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from accounts.durations import MINUTE, in_words

type Snapshot = Mapping[str, Any]
"""A rule as JSON data, by field. People, groups and other rows stand in it as `user:4`."""
type Names = Mapping[str, str]
"""What pages call the rows that snapshots name."""


class Kind(StrEnum):
    """What kind of rule a snapshot is of."""

    OFFER = "offer"
    PROFILE = "profile"
    GROUP = "group"
    PERSON = "person"
    SECOND_ADMIN = "second_admin"


class Direction(StrEnum):
    """Which way a difference goes."""

    WIDENING = "widening"
    NARROWING = "narrowing"
    NEUTRAL = "neutral"


@dataclass(frozen=True)
class Difference:
    """One field of a rule that changes, in words."""

    field: str
    label: str
    before: str
    after: str
    direction: Direction
    sentence: str
    """What it means."""

    @property
    def has_lines(self) -> bool:
        """Whether a value is too long for a cell of a table."""
        return "\n" in self.before + self.after


NOTHING: Final = "\N{EN DASH}"
"""How a value that is not there is written."""


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
        field = fields.get(name) or _unknown(name)
        old, new = (before or {}).get(name), after.get(name)
        if before is None and new in (None, "", [], False):
            continue
        if whole:
            found.append(_as_whole(name, field, before, new, names))
        elif before is None:
            # An offer that is made closed: nobody can use it before it opens.
            found.append(_difference(name, replace(field, judge=_neutral), old, new, names))
        elif old != new:
            found.extend(field.compare(name, field, old, new, _Context(before, after, names)))
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


# --- Comparing one field ---------------------------------------------------------------------


@dataclass(frozen=True)
class _Context:
    before: Snapshot
    after: Snapshot
    names: Names


type _Judge = Callable[[Any, Any], Direction]


@dataclass(frozen=True)
class Field:
    """How one field is called, written and judged."""

    label: str
    judge: _Judge
    wider: str = ""
    """What it means when it widens; {before} and {after} stand for the values."""
    narrower: str = ""
    show: Callable[[Any, Names], str] = lambda value, names: _text(value)
    compare: Callable[[str, "Field", Any, Any, _Context], list[Difference]] = (
        lambda name, field, old, new, context: [_difference(name, field, old, new, context.names)]
    )
    is_rule: bool = True
    """Whether it decides anything; words for people do not."""


def _difference(name: str, field: Field, old: Any, new: Any, names: Names) -> Difference:
    direction = field.judge(old, new)
    shown = {"before": field.show(old, names), "after": field.show(new, names)}
    template = {
        Direction.WIDENING: field.wider or "This lets more happen than before.",
        Direction.NARROWING: field.narrower or "This lets less happen than before.",
        Direction.NEUTRAL: "This gives nobody more and nobody less.",
    }[direction]
    # Names of people are put in with replace, not format: they are words and no templates.
    sentence = template.replace("{before}", shown["before"]).replace("{after}", shown["after"])
    return Difference(name, field.label, **shown, direction=direction, sentence=sentence)


def _as_whole(
    name: str, field: Field, before: Snapshot | None, new: Any, names: Names
) -> Difference:
    was = NOTHING if before is None else field.show(before.get(name), names)
    direction = Direction.WIDENING if field.is_rule else Direction.NEUTRAL
    sentence = (
        "It takes effect with this: nobody could use it before."
        if field.is_rule
        else "This gives nobody more and nobody less."
    )
    return Difference(name, field.label, was, field.show(new, names), direction, sentence)


def _any_change(old: Any, new: Any) -> Direction:
    return Direction.WIDENING


def _neutral(old: Any, new: Any) -> Direction:
    return Direction.NEUTRAL


def _one_way(wider: bool) -> Direction:
    return Direction.WIDENING if wider else Direction.NARROWING


def _more_is_wider(old: Any, new: Any) -> Direction:
    # A bool is an int to Python, and no number here.
    known = all(isinstance(one, int) and not isinstance(one, bool) for one in (old, new))
    return _one_way(not known or new > old)


def _on_is_wider(old: Any, new: Any) -> Direction:
    return _one_way(new is not False)


def _off_is_wider(old: Any, new: Any) -> Direction:
    return _one_way(new is not True)


def _first_is_narrower(old: Any, new: Any) -> Direction:
    """A condition where there was none narrows; another one, or none, may let more through."""
    return _one_way(old not in (None, ""))


def _none_is_narrower(old: Any, new: Any) -> Direction:
    """Taking a permission away narrows; giving it, or giving it to others, may let more through."""
    return _one_way(new is not None)


def _none_or_less_is_narrower(old: Any, new: Any) -> Direction:
    return Direction.NARROWING if new is None else _more_is_wider(old, new)


def _ranked(*ranks: str) -> _Judge:
    """Values from the narrowest to the widest; unknown ones count as wider."""

    def judge(old: Any, new: Any) -> Direction:
        if old not in ranks or new not in ranks:
            return Direction.WIDENING
        return _one_way(ranks.index(new) > ranks.index(old))

    return judge


# --- Writing a value -------------------------------------------------------------------------


def _text(value: Any) -> str:
    match value:
        case None | "":
            return NOTHING
        case True:
            return "yes"
        case False:
            return "no"
        case list() | dict():
            return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)
        case _:
            return str(value)


def _span(value: Any, names: Names) -> str:
    """Seconds as people say them."""
    if not isinstance(value, int | float):
        return _text(value)
    return in_words(timedelta(seconds=value) // MINUTE)


def _named(value: Any, names: Names) -> str:
    return names.get(str(value), str(value)) if value else NOTHING


def _list(value: Any, names: Names) -> str:
    if not isinstance(value, list):
        return _text(value)
    return ", ".join(names.get(str(one), str(one)) for one in value) or "nobody"


def _plain_list(value: Any, names: Names) -> str:
    return "\n".join(map(str, value)) or NOTHING if isinstance(value, list) else _text(value)


# --- Sets of people --------------------------------------------------------------------------


def _set(
    *, added: str, removed: str, removed_is: Callable[[_Context], Direction]
) -> Callable[[str, Field, Any, Any, _Context], list[Difference]]:
    """Compare who is named. `added` and `removed` follow a list of names."""

    def compare(name: str, field: Field, old: Any, new: Any, context: _Context) -> list[Difference]:
        if not isinstance(old, list) or not isinstance(new, list):
            return [_difference(name, field, old, new, context.names)]
        sides = (
            ([one for one in new if one not in old], added, Direction.WIDENING),
            ([one for one in old if one not in new], removed, removed_is(context)),
        )
        shown = field.show(old, context.names), field.show(new, context.names)
        return [
            Difference(name, field.label, *shown, way, f"{_list(those, context.names)} {words}")
            for those, words, way in sides
            if those
        ] or [_difference(name, field, old, new, context.names)]

    return compare


def _narrowing(context: _Context) -> Direction:
    return Direction.NARROWING


def _widening(context: _Context) -> Direction:
    return Direction.WIDENING


def _who_decides_widens(context: _Context) -> Direction:
    """Fewer people look at requests, where the group decides on any."""
    decides = context.before.get("decides_on") or context.after.get("decides_on")
    return Direction.WIDENING if decides else Direction.NARROWING


# --- Stages of approval ----------------------------------------------------------------------

_QUORUM = Field(
    "people who must approve",
    lambda old, new: _one_way(not (isinstance(old, int) and isinstance(new, int) and new > old)),
    "{after} must approve where {before} had to.",
    "{after} must approve where {before} had to.",
)
_APPROVERS = _set(
    added="may decide from then on.",
    removed="no longer decides: others are left to say yes.",
    removed_is=_widening,
)


def _stages(name: str, field: Field, old: Any, new: Any, context: _Context) -> list[Difference]:
    """Stage by stage. Fewer stages, a lower quorum, and other or fewer approvers widen."""
    if not isinstance(old, list) or not isinstance(new, list):
        return [_difference(name, field, old, new, context.names)]
    found: list[Difference] = []
    for at in range(max(len(old), len(new))):
        was, is_now = (one[at] if at < len(one) else None for one in (old, new))
        if was is None or is_now is None:
            gone = is_now is None
            words = "A stage less has to approve." if gone else "One more stage has to approve."
            shown = (_stage(was, context.names), _stage(is_now, context.names))
            found.append(Difference(name, f"Stage {at + 1}", *shown, _one_way(gone), words))
        else:
            found += _stage_differences(f"Stage {at + 1}", was, is_now, context)
    return found or [_difference(name, field, old, new, context.names)]


def _stage_differences(
    title: str, was: Snapshot, is_now: Snapshot, context: _Context
) -> list[Difference]:
    fields = {
        "name": Field(f"{title}: name", _neutral, is_rule=False),
        "quorum": Field(
            f"{title}: {_QUORUM.label}", _QUORUM.judge, _QUORUM.wider, _QUORUM.narrower
        ),
        "people": Field(f"{title}: people", _any_change, show=_list, compare=_APPROVERS),
        "groups": Field(f"{title}: groups", _any_change, show=_list, compare=_APPROVERS),
    }
    found = []
    for name in dict.fromkeys([*fields, *was, *is_now]):
        field, old, new = fields.get(name) or _unknown(name), was.get(name), is_now.get(name)
        if old != new:
            found += field.compare(f"stages.{name}", field, old, new, context)
    return found


def _stage(value: Any, names: Names) -> str:
    if not isinstance(value, Mapping):
        return NOTHING
    who = [*value.get("people", []), *value.get("groups", [])]
    return f"{value.get('name')}: {value.get('quorum')} of {_list(who, names)}"


def _all_stages(value: Any, names: Names) -> str:
    if not isinstance(value, list):
        return _text(value)
    return "\n".join(_stage(one, names) for one in value) or NOTHING


# --- The rule that approves ------------------------------------------------------------------


def _while_a_rule_approves(
    name: str, field: Field, old: Any, new: Any, context: _Context
) -> list[Difference]:
    """Its conditions decide nothing while it is switched off."""
    if context.after.get("auto_approve") is False:
        field = Field(field.label, _neutral, show=field.show)
    return [_difference(name, field, old, new, context.names)]


def _automatic(label: str, judge: _Judge, wider: str, show: Any = None) -> Field:
    show = show or (lambda value, names: _text(value))
    return Field(label, judge, wider, show=show, compare=_while_a_rule_approves)


# --- Permissions -----------------------------------------------------------------------------

_MAY_DENY: Final = ("deny", "quarantine")
"""Words in the names of AWS's policies that deny: taking such a one away lets more happen."""


def _policies(name: str, field: Field, old: Any, new: Any, context: _Context) -> list[Difference]:
    if not isinstance(old, list) or not isinstance(new, list):
        return [_difference(name, field, old, new, context.names)]
    gone = [one for one in old if one not in new]
    denied = any(word in one.lower() for one in gone for word in _MAY_DENY)
    compare = _set(
        added="is attached to every role that is made from then on.",
        removed="is attached no longer.",
        removed_is=_widening if denied else _narrowing,
    )
    return compare(name, field, old, new, context)


def _statements(old: Any, new: Any) -> Direction:
    """Only two changes are known to narrow: taking a policy away that denies nothing, and adding
    one that does nothing but deny."""
    if new is None:
        return _one_way("Deny" in _effects(old))
    return _one_way(not (old is None and _effects(new) == {"Deny"}))


def _effects(document: Any) -> set[str]:
    statements = document.get("Statement", []) if isinstance(document, Mapping) else [{}]
    statements = statements if isinstance(statements, list) else [statements]
    return {
        str(one.get("Effect", "Deny")) if isinstance(one, Mapping) else "Deny" for one in statements
    }


# --- The fields of each kind -----------------------------------------------------------------


def _words(label: str) -> Field:
    return Field(label, _neutral, is_rule=False)


def _unknown(name: str) -> Field:
    label = name.replace("_", " ").capitalize()
    return Field(label, _any_change, "It is not known what this does, so it counts as widening.")


_OFFER: Final = {
    "pair": Field("Account pair", _any_change, show=_named),
    "profile": Field("Access profile", _any_change, show=_named),
    "profile_version": Field("Version of the profile", _any_change),
    "is_active": Field(
        "Open for requests", _on_is_wider, "People can ask for it.", "Nobody can ask for it."
    ),
    "max_duration": Field(
        "Longest duration",
        _more_is_wider,
        "Access may last {after} instead of {before}.",
        "Access may last {after} at most; it was {before}.",
        show=_span,
    ),
    "eligible_users": Field(
        "People who may ask",
        _any_change,
        show=_list,
        compare=_set(
            added="may ask from then on.", removed="may ask no longer.", removed_is=_narrowing
        ),
    ),
    "eligible_groups": Field(
        "Groups whose members may ask",
        _any_change,
        show=_list,
        compare=_set(
            added="may ask from then on, with all members.",
            removed="may ask no longer.",
            removed_is=_narrowing,
        ),
    ),
    "stages": Field("Who approves", _any_change, show=_all_stages, compare=_stages),
    "default_duration": Field("Usual duration", _neutral, show=_span, is_rule=False),
    "request_lifetime": Field(
        "Requests wait for",
        _more_is_wider,
        "A request can still be approved after {after}; it lapsed after {before}.",
        "A request lapses after {after} instead of {before}.",
        show=_span,
    ),
    "is_listed": _words("Shown to everybody"),
    "sensitivity": Field(
        "Sensitivity",
        _ranked("high", "normal", "low"),
        "It counts as less sensitive, which rules for automatic approval ask for.",
        "It counts as more sensitive.",
    ),
    "warning": _words("Warning"),
    "reason_prompt": _words("Question for the reason"),
    "reason_example": _words("Example of a reason"),
    "ticket_required": Field(
        "A ticket is required", _off_is_wider, "No ticket is asked for.", "A ticket is asked for."
    ),
    "ticket_pattern": Field(
        "Pattern of tickets",
        _first_is_narrower,
        "Other tickets are taken than before.",
        "Only tickets of this form are taken.",
    ),
    "ticket_hint": _words("Hint for tickets"),
    "auto_approve": Field(
        "Approve by rule",
        _on_is_wider,
        "Requests are approved without anybody looking at them.",
        "A person looks at every request.",
    ),
    "auto_longest": _automatic(
        "Longest by rule",
        _more_is_wider,
        "The rule approves up to {after}; it was {before}.",
        _span,
    ),
    "auto_group": _automatic(
        "Approved by rule: members of",
        _first_is_narrower,
        "The rule approves for others than before.",
        _named,
    ),
    "auto_zone": _automatic(
        "Time zone of the rule", _first_is_narrower, "The rule approves at other times."
    ),
    "auto_days": _automatic(
        "Weekdays of the rule", _first_is_narrower, "The rule approves on other days."
    ),
    "auto_from": _automatic(
        "The rule approves from", _first_is_narrower, "The rule approves at other times."
    ),
    "auto_until": _automatic(
        "The rule approves until", _first_is_narrower, "The rule approves at other times."
    ),
    "break_glass_group": Field(
        "Break-glass: members of",
        _none_is_narrower,
        "Its members may take the access at once, without anybody's decision.",
        "Nobody may take the access without a decision.",
        show=_named,
    ),
    "break_glass_longest": Field(
        "Longest in an emergency",
        _none_or_less_is_narrower,
        "Up to {after} may be taken at once; it was {before}.",
        "Up to {after} may be taken at once; it was {before}.",
        show=_span,
    ),
}

_PROFILE: Final = {
    "role_name": _words("Role name"),
    "managed_policies": Field(
        "AWS managed policies", _any_change, show=_plain_list, compare=_policies
    ),
    "inline_policy": Field(
        "Inline policy",
        _statements,
        "The statements are others than before: what they allow may be more.",
        "Nothing more is allowed by it.",
    ),
    "session_duration": Field(
        "Longest session",
        _more_is_wider,
        "One switch lasts up to {after} instead of {before}.",
        "One switch lasts up to {after}; it was {before}.",
        show=_span,
    ),
    "require_mfa": Field(
        "MFA demanded",
        _off_is_wider,
        "People get in without a second factor.",
        "People get in with a second factor only.",
    ),
    "amounts_to": Field("Amounts to", _neutral, is_rule=False),
}

_GROUP: Final = {
    "name": _words("Name"),
    "members": Field(
        "Members",
        _any_change,
        show=_list,
        compare=_set(
            added="gets everything that offers give to this group.",
            removed="gets nothing through this group any more.",
            removed_is=_who_decides_widens,
        ),
    ),
    "decides_on": Field("Decides on requests for", _neutral, show=_plain_list, is_rule=False),
    "may_ask_for": Field("May ask for", _neutral, show=_plain_list, is_rule=False),
    "may_take": Field("May take in an emergency", _neutral, show=_plain_list, is_rule=False),
}


def _role(old: Any, new: Any) -> Direction:
    """Whoever stops being an admin has less. All else gives something: an auditor reads everything,
    and a member may ask and decide where an auditor may not."""
    return _one_way(old != "admin" or new not in {"member", "auditor"})


_PERSON: Final = {
    "role": Field(
        "Role",
        _role,
        "What they may do is {after} instead of {before}.",
        "They are no admin any more.",
    ),
    "is_active": Field(
        "Can sign in",
        _on_is_wider,
        "They can sign in again, with every right that offers and groups give them.",
        "They cannot sign in.",
    ),
    "groups": Field("Groups", _neutral, show=_list, is_rule=False),
}

_SECOND_ADMIN: Final = {
    "on": Field(
        "A second admin confirms what widens access",
        _off_is_wider,
        "From then on any admin widens access alone.",
        "From then on two admins are needed for what widens access.",
    )
}

FIELDS: Final[Mapping[Kind, Mapping[str, Field]]] = {
    Kind.OFFER: _OFFER,
    Kind.PROFILE: _PROFILE,
    Kind.GROUP: _GROUP,
    Kind.PERSON: _PERSON,
    Kind.SECOND_ADMIN: _SECOND_ADMIN,
}
