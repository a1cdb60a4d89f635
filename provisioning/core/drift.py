"""What differs between the rows and an account as a scan saw it. Pure; changes nothing.

The same functions that plan a grant compare it here: there is drift where a plan is not empty.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from difflib import SequenceMatcher
from enum import StrEnum
from typing import Any

from provisioning.core import naming, plan
from provisioning.core.documents import Document, canonical
from provisioning.core.plan import (
    ForeignObject,
    Found,
    FoundGroup,
    FoundRole,
    GrantSpec,
    GroupSpec,
    WantedGroup,
    WantedRole,
)
from provisioning.core.steps import PlanStep

type Parts = Mapping[str, Any]


class Kind(StrEnum):
    """What a difference means."""

    WIDENED = "widened"
    """AWS lets somebody do more than was approved. It is cut back at once."""
    NARROWED = "narrowed"
    """Somebody took away what was approved. Only a person gives it back (I12)."""
    ORPHAN = "orphan"
    """A role with our path and our portal's tag that no live access answers for."""
    UNKNOWN = "unknown"
    """Under our path, but not ours by what it says of itself. It is reported and never touched."""


class Thing(StrEnum):
    """What differs."""

    ROLE = "role"
    GROUP = "group"
    MEMBERSHIP = "membership"


@dataclass(frozen=True)
class Drift:
    """One difference. `approved` and `in_aws` hold only the parts that differ."""

    kind: Kind
    thing: Thing
    name: str
    summary: str
    approved: Parts = field(default_factory=dict, hash=False)
    in_aws: Parts = field(default_factory=dict, hash=False)


UNIQUE_ID = "Unique id"


def membership(group: str, user: str) -> str:
    """The name under which a membership is reported."""
    return f"{group}/{user}"


# --- Issued roles ----------------------------------------------------------------------------


def of_role(spec: GrantSpec, role: FoundRole, now: datetime) -> Drift | None:
    """What differs in the issued role of a live grant; None where it is as it was approved."""
    wanted = plan.desired(replace(spec, group_is_ready=True), now)
    if wanted.role is None:
        return None
    # The scan does not show the longest session.
    seen = replace(role, max_session_seconds=wanted.role.max_session_seconds)
    found = Found(member=True, role=seen, user_id=spec.user_id)
    try:
        steps = plan.plan(wanted, found)
    except ForeignObject:
        kind, summary = Kind.UNKNOWN, NOT_OURS
    else:
        if not steps:
            return None
        user_gone = _names_deleted_user(spec, role)
        kind = Kind.NARROWED if user_gone else _kind(steps)
        summary = USER_DELETED if user_gone else _summary(steps)
    due, there = role_parts(wanted.role), role_parts(seen)
    return _differs(kind, Thing.ROLE, spec.role_name, summary, due, there)


NOT_OURS = "The path or the tags no longer say that this is the role of the access."
USER_DELETED = "The IAM user that may enter this role was deleted."


def _names_deleted_user(spec: GrantSpec, role: FoundRole) -> bool:
    """Whether AWS shows the approved user by the unique id alone, as it does after a deletion:
    another user of that name would not be let in [AWS-FACTS 4.3]."""
    principals = [
        one.get("Principal", {}).get("AWS")
        for one in canonical(role.trust).get("Statement", [])
        if isinstance(one, dict) and isinstance(one.get("Principal"), dict)
    ]
    return principals == [[spec.user_id]]


def missing_role(spec: GrantSpec, now: datetime) -> Drift | None:
    """A live grant whose role is not there."""
    role = plan.desired(spec, now).role
    if role is None:
        return None
    summary = "The role of this access is not there."
    return Drift(Kind.NARROWED, Thing.ROLE, spec.role_name, summary, role_parts(role))


def ownerless_role(name: str, role: FoundRole, *, portal_id: str) -> Drift:
    """A role under our path that no live grant answers for."""
    ours = role.path == naming.PATH and role.tags.get(naming.TAG_PORTAL) == portal_id
    if ours:
        summary = "No live access answers for this role, though it carries this portal's tag."
        return Drift(Kind.ORPHAN, Thing.ROLE, name, summary, {}, role_parts(role))
    summary = "Somebody made this role under Sallyport's path. It is not touched."
    return Drift(Kind.UNKNOWN, Thing.ROLE, name, summary, {}, role_parts(role))


# --- Switch groups ---------------------------------------------------------------------------


def of_group(spec: GroupSpec, found: FoundGroup | None) -> Drift | None:
    """What differs in a switch group; None where it is as registered."""
    due = _group_parts(plan.desired_group(spec))
    if found is None:
        summary = "The switch group is not there."
        return Drift(Kind.NARROWED, Thing.GROUP, spec.name, summary, due)
    try:
        steps = plan.plan_group(spec, found)
    except ForeignObject:
        summary = "The switch group stands under another path."
        return Drift(Kind.UNKNOWN, Thing.GROUP, spec.name, summary, due, {"Path": found.path})
    if not steps:
        return None
    there = _found_group_parts(found)
    return _differs(_kind(steps), Thing.GROUP, spec.name, _summary(steps), due, there)


def unknown_group(name: str, found: FoundGroup) -> Drift:
    """A group under our path that no pair names. IAM's groups carry no tags to tell whose it is."""
    summary = "No pair names this group under Sallyport's path. It is not touched."
    return Drift(Kind.UNKNOWN, Thing.GROUP, name, summary, {}, _found_group_parts(found))


def extra_member(group: str, user: str, unique_id: str) -> Drift:
    """A user in a switch group whom no live grant needs there."""
    summary = f"No live access needs the IAM user {user} in {group}."
    return Drift(
        Kind.WIDENED,
        Thing.MEMBERSHIP,
        membership(group, user),
        summary,
        {"Membership": "not a member"},
        {"Membership": "member", UNIQUE_ID: unique_id},
    )


def missing_member(spec: GrantSpec) -> Drift:
    """A live grant whose user is not in its switch group."""
    group, user = spec.switch_group, spec.user_name
    return Drift(
        Kind.NARROWED,
        Thing.MEMBERSHIP,
        membership(group, user),
        f"The IAM user {user} is not in {group}, so this access cannot be used.",
        {"Membership": "member"},
        {"Membership": "not a member"},
    )


# --- Side by side ----------------------------------------------------------------------------


def _kind(steps: Sequence[PlanStep]) -> Kind:
    """Widened as soon as anything may be taken away without a person."""
    return Kind.WIDENED if plan.without_a_person(steps) else Kind.NARROWED


def _summary(steps: Sequence[PlanStep]) -> str:
    return "To be as approved: " + " ".join(step.sentence for step in steps)


def role_parts(role: WantedRole | FoundRole) -> Parts:
    """A role in parts that a person can compare."""
    return {
        "Trust": role.trust,
        "Boundary": role.boundary_arn,
        "Tags": {key: role.tags[key] for key in sorted(role.tags)},
        "Managed policies": sorted(role.managed),
        **_policies(role.inline),
    }


def _group_parts(group: WantedGroup) -> Parts:
    return {
        "Managed policies": sorted(group.managed),
        **_policies({naming.SWITCH_POLICY: group.policy}),
    }


def _found_group_parts(group: FoundGroup) -> Parts:
    return {"Managed policies": sorted(group.managed), **_policies(group.inline)}


def _policies(inline: Mapping[str, Document]) -> Parts:
    return {f"Policy {name}": inline[name] for name in sorted(inline)}


def _differs(
    kind: Kind, thing: Thing, name: str, summary: str, approved: Parts, in_aws: Parts
) -> Drift:
    """A drift with the parts that are not the same, in one canonical form on both sides."""
    names = [
        one
        for one in (*approved, *(extra for extra in in_aws if extra not in approved))
        if canonical(approved.get(one)) != canonical(in_aws.get(one))
    ]
    return Drift(
        kind,
        thing,
        name,
        summary,
        {one: canonical(approved[one]) for one in names if one in approved},
        {one: canonical(in_aws[one]) for one in names if one in in_aws},
    )


@dataclass(frozen=True)
class Line:
    """One line of a side. `differs` where the other side does not have it."""

    text: str
    differs: bool


def side_by_side(approved: Parts, in_aws: Parts) -> tuple[tuple[Line, ...], tuple[Line, ...]]:
    """Both sides as lines, those marked that only one of them has."""
    left, right = _lines(approved), _lines(in_aws)
    matcher = SequenceMatcher(a=left, b=right, autojunk=False)
    same_left: set[int] = set()
    same_right: set[int] = set()
    for block in matcher.get_matching_blocks():
        same_left.update(range(block.a, block.a + block.size))
        same_right.update(range(block.b, block.b + block.size))
    return (
        tuple(Line(text, at not in same_left) for at, text in enumerate(left)),
        tuple(Line(text, at not in same_right) for at, text in enumerate(right)),
    )


def _lines(parts: Parts) -> list[str]:
    return [
        line
        for name, value in parts.items()
        for line in (f"{name}:", *(f"  {one}" for one in _text(value).splitlines()))
    ]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=2)
