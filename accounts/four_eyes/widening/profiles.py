"""What the fields of a profile's version mean: what its roles may do."""

from collections.abc import Mapping
from typing import Any, Final

from accounts.four_eyes.widening import judges, values
from accounts.four_eyes.widening.fields import (
    Context,
    Field,
    always_narrows,
    always_widens,
    difference,
    one_by_one,
    words_only,
)
from accounts.four_eyes.widening.words import Difference, Direction

_MAY_DENY: Final = ("deny", "quarantine")
"""Words in the names of AWS's policies that deny: taking such a one away lets more happen."""


def _policies(name: str, field: Field, old: Any, new: Any, context: Context) -> list[Difference]:
    if not isinstance(old, list) or not isinstance(new, list):
        return [difference(name, field, old, new, context.names)]
    gone = [one for one in old if one not in new]
    denied = any(word in one.lower() for one in gone for word in _MAY_DENY)
    compare = one_by_one(
        added="is attached to every role that is made from then on.",
        removed="is attached no longer.",
        removed_is=always_widens if denied else always_narrows,
    )
    return compare(name, field, old, new, context)


def _statements(old: Any, new: Any) -> Direction:
    """Only two changes are known to narrow: taking a policy away that denies nothing, and adding
    one that does nothing but deny."""
    if new is None:
        return judges.one_way("Deny" in _effects(old))
    return judges.one_way(not (old is None and _effects(new) == {"Deny"}))


def _effects(document: Any) -> set[str]:
    statements = document.get("Statement", []) if isinstance(document, Mapping) else [{}]
    statements = statements if isinstance(statements, list) else [statements]
    return {
        str(one.get("Effect", "Deny")) if isinstance(one, Mapping) else "Deny" for one in statements
    }


PROFILE: Final = {
    "role_name": words_only("Role name"),
    "managed_policies": Field(
        "AWS managed policies", judges.any_change, show=values.lines, compare=_policies
    ),
    "inline_policy": Field(
        "Inline policy",
        _statements,
        "The statements are others than before: what they allow may be more.",
        "Nothing more is allowed by it.",
    ),
    "session_duration": Field(
        "Longest session",
        judges.more_is_wider,
        "One switch lasts up to {after} instead of {before}.",
        "One switch lasts up to {after}; it was {before}.",
        show=values.span,
    ),
    "require_mfa": Field(
        "MFA demanded",
        judges.off_is_wider,
        "People get in without a second factor.",
        "People get in with a second factor only.",
    ),
    "amounts_to": Field("Amounts to", judges.neutral, is_rule=False),
}
