"""What counts as drift, and which way: a table, without AWS and without a database."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from provisioning.core import documents, drift, naming, plan
from provisioning.core.drift import Kind, Thing
from provisioning.core.plan import FoundGroup, FoundRole
from tests.core.specs import CLASSIC, END, INLINE, NOW, spec

READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"
ALLOW_ALL = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}
ROLE = plan.as_made(CLASSIC, locked=False).role
assert ROLE is not None
SEEN = replace(ROLE, max_session_seconds=0)
"""The role as a scan shows it when nobody has touched it."""


def trust(principal: object, end: str = documents.aws_time(END)) -> documents.Document:
    made = documents.trust_policy(user_arn="", end=end, require_mfa=True)
    made["Statement"][0]["Principal"] = {"AWS": principal}
    return made


type Change = Callable[[FoundRole], FoundRole]

ROLES: dict[str, tuple[Change, Kind | None]] = {
    "untouched": (lambda role: role, None),
    "principal as a list": (lambda role: replace(role, trust=trust([CLASSIC.user_arn])), None),
    "statement not in a list": (
        lambda role: replace(role, trust=role.trust | {"Statement": role.trust["Statement"][0]}),
        None,
    ),
    "more tags of the owner's": (
        lambda role: replace(role, tags={**role.tags, "cost-centre": "7"}),
        None,
    ),
    "another principal": (lambda role: replace(role, trust=trust("*")), Kind.WIDENED),
    "two principals": (
        lambda role: replace(role, trust=trust([CLASSIC.user_arn, "arn:aws:iam::1:root"])),
        Kind.WIDENED,
    ),
    "a later end": (
        lambda role: replace(role, trust=trust(CLASSIC.user_arn, "2030-01-01T00:00:00Z")),
        Kind.WIDENED,
    ),
    "an earlier end": (
        lambda role: replace(role, trust=trust(CLASSIC.user_arn, "2026-11-23T12:10:00Z")),
        Kind.NARROWED,
    ),
    "the user was deleted": (
        lambda role: replace(role, trust=trust(CLASSIC.user_id)),
        Kind.NARROWED,
    ),
    "the unique id of somebody else": (
        lambda role: replace(role, trust=trust("AIDASOMEBODYELSE")),
        Kind.WIDENED,
    ),
    "no boundary": (lambda role: replace(role, boundary_arn=""), Kind.WIDENED),
    "a policy too many": (
        lambda role: replace(role, managed=(*role.managed, ADMIN)),
        Kind.WIDENED,
    ),
    "a policy too few": (lambda role: replace(role, managed=()), Kind.NARROWED),
    "another policy": (lambda role: replace(role, managed=(ADMIN,)), Kind.WIDENED),
    "an inline policy": (
        lambda role: replace(role, inline={**role.inline, "Mine": ALLOW_ALL}),
        Kind.WIDENED,
    ),
    "the owner's own deny": (
        lambda role: replace(role, inline={**role.inline, "Lock": documents.deny_all()}),
        Kind.NARROWED,
    ),
    "no dated deny": (lambda role: replace(role, inline={}), Kind.WIDENED),
    "locked": (
        lambda role: replace(role, inline={naming.END_POLICY: documents.deny_all()}),
        Kind.NARROWED,
    ),
    "not our portal's tag": (lambda role: replace(role, tags={}), Kind.UNKNOWN),
    "another path below ours": (lambda role: replace(role, path="/sallyport/x/"), Kind.UNKNOWN),
}


@pytest.mark.parametrize("name", ROLES)
def test_a_role_drifts_one_way_or_not_at_all(name: str) -> None:
    change, kind = ROLES[name]

    found = drift.of_role(CLASSIC, change(SEEN), NOW)

    assert (found.kind if found else None) == kind
    if found is not None:
        assert (found.thing, found.name) == (Thing.ROLE, CLASSIC.role_name)
        assert found.summary


def test_only_the_parts_that_differ_are_told() -> None:
    found = drift.of_role(CLASSIC, replace(SEEN, managed=(READ_ONLY, ADMIN)), NOW)

    assert found is not None
    assert found.approved == {"Managed policies": [READ_ONLY]}
    assert found.in_aws == {"Managed policies": [ADMIN, READ_ONLY]}


def test_a_profile_of_its_own_that_is_gone_is_narrowed() -> None:
    own = spec(inline_policy=INLINE)

    found = drift.of_role(own, SEEN, NOW)

    assert found is not None
    assert found.kind is Kind.NARROWED
    assert list(found.approved) == [f"Policy {naming.PROFILE_POLICY}"]


@pytest.mark.parametrize(
    "over", [spec(revoked_at=NOW), spec(ends_at=NOW), spec(ends_at=NOW - timedelta(hours=1))]
)
def test_what_is_over_is_left_to_its_removal(over: plan.GrantSpec) -> None:
    assert drift.of_role(over, replace(SEEN, managed=(ADMIN,)), NOW) is None
    assert drift.missing_role(over, NOW) is None


def test_a_missing_role_is_narrowed() -> None:
    found = drift.missing_role(CLASSIC, NOW)

    assert found is not None
    assert (found.kind, found.in_aws) == (Kind.NARROWED, {})


GROUP = CLASSIC.group
WANTED = plan.desired_group(GROUP)
WHOLE = FoundGroup(naming.PATH, {naming.SWITCH_POLICY: WANTED.policy}, WANTED.managed)
GROUPS: dict[str, tuple[FoundGroup | None, Kind | None]] = {
    "untouched": (WHOLE, None),
    "gone": (None, Kind.NARROWED),
    "a policy too many": (replace(WHOLE, managed=(READ_ONLY, ADMIN)), Kind.WIDENED),
    "a policy too few": (replace(WHOLE, managed=()), Kind.NARROWED),
    "an inline policy": (
        replace(WHOLE, inline={**WHOLE.inline, "Mine": ALLOW_ALL}),
        Kind.WIDENED,
    ),
    "no switch policy": (replace(WHOLE, inline={}), Kind.NARROWED),
    "every role": (replace(WHOLE, inline={naming.SWITCH_POLICY: ALLOW_ALL}), Kind.WIDENED),
    "another path below ours": (replace(WHOLE, path="/sallyport/x/"), Kind.UNKNOWN),
}


@pytest.mark.parametrize("name", GROUPS)
def test_a_switch_group_drifts_one_way_or_not_at_all(name: str) -> None:
    group, kind = GROUPS[name]

    found = drift.of_group(GROUP, group)

    assert (found.kind if found else None) == kind


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, Kind.ORPHAN),
        ({"tags": {}}, Kind.UNKNOWN),
        ({"tags": {naming.TAG_PORTAL: "another"}}, Kind.UNKNOWN),
        ({"path": "/sallyport/x/"}, Kind.UNKNOWN),
    ],
)
def test_only_our_path_and_our_tag_make_an_orphan(changes: dict[str, object], kind: Kind) -> None:
    found = drift.ownerless_role("name", replace(SEEN, **changes), portal_id="sandbox")  # type: ignore[arg-type]  # The table's values fit.

    assert found.kind is kind


def test_memberships_are_named_by_group_and_user() -> None:
    extra = drift.extra_member("switch", "userC", "AIDAC")
    missing = drift.missing_member(CLASSIC)

    assert (extra.kind, extra.name) == (Kind.WIDENED, "switch/userC")
    assert (missing.kind, missing.name) == (Kind.NARROWED, "switch-to-222222222222/userA")


def test_lines_that_only_one_side_has_are_marked() -> None:
    left, right = drift.side_by_side({"Boundary": "one", "Managed": ["a"]}, {"Managed": ["a", "b"]})

    assert [one.text for one in left if one.differs] == ["Boundary:", "  one", '    "a"']
    assert [one.text for one in right if one.differs] == ['    "a",', '    "b"']
