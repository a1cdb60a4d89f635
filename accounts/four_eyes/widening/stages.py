"""The stages of an offer's approval, compared one by one."""

from collections.abc import Mapping
from typing import Any

from accounts.four_eyes.widening import judges, values
from accounts.four_eyes.widening.fields import (
    Context,
    Field,
    always_widens,
    difference,
    one_by_one,
    unknown,
)
from accounts.four_eyes.widening.words import Difference, Names, Snapshot

_QUORUM = Field(
    "people who must approve",
    lambda old, new: judges.one_way(
        not (isinstance(old, int) and isinstance(new, int) and new > old)
    ),
    "{after} must approve where {before} had to.",
    "{after} must approve where {before} had to.",
)
_APPROVERS = one_by_one(
    added="may decide from then on.",
    removed="no longer decides: others are left to say yes.",
    removed_is=always_widens,
)


def by_stage(name: str, field: Field, old: Any, new: Any, context: Context) -> list[Difference]:
    """Stage by stage. Fewer stages, a lower quorum, and other or fewer approvers widen."""
    if not isinstance(old, list) or not isinstance(new, list):
        return [difference(name, field, old, new, context.names)]
    found: list[Difference] = []
    for at in range(max(len(old), len(new))):
        was, is_now = (one[at] if at < len(one) else None for one in (old, new))
        if was is None or is_now is None:
            gone = is_now is None
            words = "A stage less has to approve." if gone else "One more stage has to approve."
            shown = (_stage(was, context.names), _stage(is_now, context.names))
            found.append(Difference(name, f"Stage {at + 1}", *shown, judges.one_way(gone), words))
        else:
            found += _stage_differences(f"Stage {at + 1}", was, is_now, context)
    return found or [difference(name, field, old, new, context.names)]


def _stage_differences(
    title: str, was: Snapshot, is_now: Snapshot, context: Context
) -> list[Difference]:
    fields = {
        "name": Field(f"{title}: name", judges.neutral, is_rule=False),
        "quorum": Field(
            f"{title}: {_QUORUM.label}", _QUORUM.judge, _QUORUM.wider, _QUORUM.narrower
        ),
        "people": Field(
            f"{title}: people", judges.any_change, show=values.names_of, compare=_APPROVERS
        ),
        "groups": Field(
            f"{title}: groups", judges.any_change, show=values.names_of, compare=_APPROVERS
        ),
    }
    found = []
    for name in dict.fromkeys([*fields, *was, *is_now]):
        field, old, new = fields.get(name) or unknown(name), was.get(name), is_now.get(name)
        if old != new:
            found += field.compare(f"stages.{name}", field, old, new, context)
    return found


def _stage(value: Any, names: Names) -> str:
    if not isinstance(value, Mapping):
        return values.NOTHING
    who = [*value.get("people", []), *value.get("groups", [])]
    return f"{value.get('name')}: {value.get('quorum')} of {values.names_of(who, names)}"


def written(value: Any, names: Names) -> str:
    """All stages, one a line."""
    if not isinstance(value, list):
        return values.text(value)
    return "\n".join(_stage(one, names) for one in value) or values.NOTHING
