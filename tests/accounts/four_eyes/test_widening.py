"""Which way a change goes: by tables, and by what a rule lets happen for any two rules."""

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.four_eyes.snapshots import fields_of
from accounts.four_eyes.widening import FIELDS, Direction, Kind, differences, narrows, widens
from accounts.models import AccessProfile, Offer, ProfileVersion

WIDENING, NARROWING, NEUTRAL = Direction.WIDENING, Direction.NARROWING, Direction.NEUTRAL

OFFER: dict[str, Any] = {
    "pair": "pair:1",
    "profile": "profile:1",
    "profile_version": 1,
    "is_active": True,
    "max_duration": 3600,
    "eligible_users": ["user:1"],
    "eligible_groups": ["group:1"],
    "stages": [{"name": "Approval", "quorum": 1, "people": ["user:2", "user:3"], "groups": []}],
    "auto_approve": False,
    "sensitivity": "normal",
    "ticket_required": True,
    "ticket_pattern": "",
    "request_lifetime": 3600,
    "warning": "",
}
LESS_SENSITIVE = "It counts as less sensitive, which rules for automatic approval ask for."
UNKNOWN = "It is not known what this does, so it counts as widening."
NO_LONGER = "Carol no longer decides: others are left to say yes."
BY_NOBODY = "Requests are approved without anybody looking at them."
NAMES = {"user:1": "Alice", "user:2": "Bob", "user:3": "Carol", "group:1": "Ops"}


def _stage(**changed: Any) -> list[dict[str, Any]]:
    return [{**OFFER["stages"][0], **changed}]


@pytest.mark.parametrize(
    ("changed", "direction", "sentence"),
    [
        ({"max_duration": 7200}, WIDENING, "Access may last 2 h instead of 1 h."),
        ({"max_duration": 1800}, NARROWING, "Access may last 30 min at most; it was 1 h."),
        ({"eligible_users": ["user:1", "user:2"]}, WIDENING, "Bob may ask from then on."),
        ({"eligible_users": []}, NARROWING, "Alice may ask no longer."),
        ({"eligible_groups": []}, NARROWING, "Ops may ask no longer."),
        ({"is_active": False}, NARROWING, "Nobody can ask for it."),
        ({"profile": "profile:2"}, WIDENING, "This lets more happen than before."),
        ({"profile_version": 2}, WIDENING, "This lets more happen than before."),
        ({"stages": _stage(quorum=2)}, NARROWING, "2 must approve where 1 had to."),
        ({"stages": _stage(people=["user:2"])}, WIDENING, NO_LONGER),
        ({"stages": _stage(groups=["group:1"])}, WIDENING, "Ops may decide from then on."),
        ({"stages": _stage(name="Board")}, NEUTRAL, "This gives nobody more and nobody less."),
        ({"stages": []}, WIDENING, "A stage less has to approve."),
        ({"stages": OFFER["stages"] * 2}, NARROWING, "One more stage has to approve."),
        ({"stages": _stage(veto=True)}, WIDENING, UNKNOWN),
        ({"auto_approve": True}, WIDENING, BY_NOBODY),
        ({"sensitivity": "low"}, WIDENING, LESS_SENSITIVE),
        ({"sensitivity": "high"}, NARROWING, "It counts as more sensitive."),
        ({"sensitivity": "unheard of"}, WIDENING, LESS_SENSITIVE),
        ({"ticket_required": False}, WIDENING, "No ticket is asked for."),
        ({"ticket_pattern": "OPS-[0-9]+"}, NARROWING, "Only tickets of this form are taken."),
        ({"request_lifetime": 60}, NARROWING, "A request lapses after 1 min instead of 1 h."),
        ({"warning": "Careful."}, NEUTRAL, "This gives nobody more and nobody less."),
        ({"break_glass_of_tomorrow": True}, WIDENING, UNKNOWN),
    ],
)  # fmt: skip
def test_a_changed_offer(changed: dict[str, Any], direction: Direction, sentence: str) -> None:
    found = differences(Kind.OFFER, OFFER, OFFER | changed, NAMES)
    assert [(one.direction, one.sentence) for one in found] == [(direction, sentence)]


def test_one_person_for_another_is_told_as_two_differences_and_is_mixed() -> None:
    found = differences(Kind.OFFER, OFFER, OFFER | {"eligible_users": ["user:2"]}, NAMES)
    assert [(one.direction, one.sentence) for one in found] == [
        (WIDENING, "Bob may ask from then on."),
        (NARROWING, "Alice may ask no longer."),
    ]
    assert (found[0].before, found[0].after) == ("Alice", "Bob")
    assert widens(found)
    assert narrows(found)


def test_a_new_offer_widens_with_every_rule_that_it_has() -> None:
    found = differences(Kind.OFFER, None, OFFER, NAMES)
    assert {one.field for one in found if one.direction is WIDENING} == set(OFFER) - {
        "auto_approve",  # Off.
        "ticket_pattern",  # None.
        "warning",
    }


def test_a_new_offer_that_is_closed_lets_nothing_happen() -> None:
    assert not widens(differences(Kind.OFFER, None, OFFER | {"is_active": False}))


def test_opening_an_offer_shows_all_of_it() -> None:
    found = differences(Kind.OFFER, OFFER | {"is_active": False}, OFFER, NAMES)
    shown = {one.field: (one.before, one.after) for one in found if one.direction is WIDENING}
    assert shown["is_active"] == ("no", "yes")
    assert shown["eligible_users"] == ("Alice", "Alice")
    assert shown["max_duration"] == ("1 h", "1 h")


AUTO = OFFER | {"auto_approve": True, "auto_longest": 3600, "auto_zone": "", "auto_group": None}


@pytest.mark.parametrize(
    ("before", "changed", "direction"),
    [
        (AUTO, {"auto_longest": 7200}, WIDENING),
        (AUTO, {"auto_longest": 60}, NARROWING),
        (AUTO, {"auto_longest": None}, WIDENING),
        (AUTO, {"auto_group": "group:1"}, NARROWING),
        (AUTO | {"auto_group": "group:1"}, {"auto_group": None}, WIDENING),
        (AUTO | {"auto_group": "group:1"}, {"auto_group": "group:2"}, WIDENING),
        (AUTO, {"auto_zone": "Europe/Berlin"}, NARROWING),
        (AUTO | {"auto_zone": "Europe/Berlin"}, {"auto_zone": ""}, WIDENING),
        (AUTO, {"auto_approve": False}, NARROWING),
        (OFFER | {"auto_longest": 60}, {"auto_longest": 3600}, NEUTRAL),
    ],
)
def test_conditions_of_automatic_approval(
    before: dict[str, Any], changed: dict[str, Any], direction: Direction
) -> None:
    found = differences(Kind.OFFER, before, before | changed)
    assert [one.direction for one in found] == [direction]


ALLOW = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject"}]}
DENY = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*"}]}
PROFILE: dict[str, Any] = {
    "role_name": "Reader",
    "managed_policies": ["ReadOnlyAccess", "SecurityAudit"],
    "inline_policy": None,
    "session_duration": 3600,
    "require_mfa": True,
}


@pytest.mark.parametrize(
    ("before", "changed", "direction"),
    [
        (PROFILE, {"managed_policies": ["ReadOnlyAccess"]}, NARROWING),
        (PROFILE, {"managed_policies": [*PROFILE["managed_policies"], "IAMFullAccess"]}, WIDENING),
        (
            PROFILE | {"managed_policies": ["A", "AWSDenyAll"]},
            {"managed_policies": ["A"]},
            WIDENING,
        ),
        (PROFILE, {"inline_policy": ALLOW}, WIDENING),
        (PROFILE, {"inline_policy": DENY}, NARROWING),
        (PROFILE | {"inline_policy": ALLOW}, {"inline_policy": None}, NARROWING),
        (PROFILE | {"inline_policy": DENY}, {"inline_policy": None}, WIDENING),
        (PROFILE | {"inline_policy": ALLOW}, {"inline_policy": DENY}, WIDENING),
        (PROFILE | {"inline_policy": {"Statement": "?"}}, {"inline_policy": None}, WIDENING),
        (PROFILE, {"session_duration": 7200}, WIDENING),
        (PROFILE | {"session_duration": 7200}, {"session_duration": 3600}, NARROWING),
        (PROFILE, {"require_mfa": False}, WIDENING),
        (PROFILE | {"require_mfa": False}, {"require_mfa": True}, NARROWING),
        (PROFILE, {"role_name": "Looker"}, NEUTRAL),
        (PROFILE, {"something_new": 1}, WIDENING),
    ],
)
def test_a_new_version(
    before: dict[str, Any], changed: dict[str, Any], direction: Direction
) -> None:
    found = differences(Kind.PROFILE, before, before | changed)
    assert [one.direction for one in found] == [direction]


@pytest.mark.parametrize(
    ("kind", "before", "after", "direction"),
    [
        (Kind.PERSON, {"role": "member"}, {"role": "admin"}, WIDENING),
        (Kind.PERSON, {"role": "member"}, {"role": "auditor"}, WIDENING),
        (Kind.PERSON, {"role": "auditor"}, {"role": "member"}, WIDENING),
        (Kind.PERSON, {"role": "auditor"}, {"role": "admin"}, WIDENING),
        (Kind.PERSON, {"role": "admin"}, {"role": "member"}, NARROWING),
        (Kind.PERSON, {"role": "admin"}, {"role": "auditor"}, NARROWING),
        (Kind.PERSON, {"role": "admin"}, {"role": "owner"}, WIDENING),
        (Kind.PERSON, {"is_active": False}, {"is_active": True}, WIDENING),
        (Kind.PERSON, {"is_active": True}, {"is_active": False}, NARROWING),
        (Kind.SECOND_ADMIN, {"on": False}, {"on": True}, NARROWING),
        (Kind.SECOND_ADMIN, {"on": True}, {"on": False}, WIDENING),
        (Kind.GROUP, {"members": []}, {"members": ["user:1"]}, WIDENING),
        (Kind.GROUP, {"members": ["user:1"]}, {"members": []}, NARROWING),
        (
            Kind.GROUP,
            {"members": ["user:1"], "decides_on": ["X"]},
            {"members": [], "decides_on": ["X"]},
            WIDENING,
        ),
        (
            Kind.GROUP,
            {"members": ["user:1"], "may_take": ["X"]},
            {"members": [], "may_take": ["X"]},
            NARROWING,
        ),
        (Kind.GROUP, {"name": "A"}, {"name": "B"}, NEUTRAL),
    ],
)
def test_people_groups_and_the_second_admin(
    kind: Kind, before: dict[str, Any], after: dict[str, Any], direction: Direction
) -> None:
    assert [one.direction for one in differences(kind, before, after)] == [direction]


def test_every_field_of_the_models_is_described() -> None:
    fields = {
        *fields_of(Offer(pair_id=1, profile_id=1)),
        *(one.name for one in Offer._meta.many_to_many),
    }
    assert fields <= set(FIELDS[Kind.OFFER])
    version = ProfileVersion(profile=AccessProfile(), number=1)
    left_out = {"profile", "number", "created_by"}
    assert set(fields_of(version, without=left_out)) <= set(FIELDS[Kind.PROFILE])


# --- What a rule lets happen, worked out another way ------------------------------------------

PEOPLE = [f"user:{number}" for number in range(1, 5)]


@st.composite
def offers(draw: st.DrawFn) -> dict[str, Any]:
    """Offers small enough to list everything that they let happen."""
    some = st.lists(st.sampled_from(PEOPLE), unique=True).map(sorted)
    stage = st.fixed_dictionaries(
        {"name": st.just("A"), "quorum": st.integers(1, 2), "people": some, "groups": st.just([])}
    )
    return OFFER | {
        "is_active": draw(st.booleans()),
        "max_duration": draw(st.sampled_from([300, 3600])),
        "eligible_users": draw(some),
        "eligible_groups": [],
        "stages": draw(st.lists(stage, min_size=1, max_size=2)),
        "auto_approve": draw(st.booleans()),
        "auto_longest": draw(st.sampled_from([300, 3600])),
        "auto_group": draw(st.sampled_from([None, "group:1"])),
    }


def _grants(offer: dict[str, Any]) -> set[Any]:
    """Every (who asks, how long, who says yes) that ends in access."""
    if not offer["is_active"]:
        return set()
    yes = [frozenset(some) for size in range(5) for some in combinations(PEOPLE, size)]
    return {
        (asker, seconds, people)
        for asker in offer["eligible_users"]
        for seconds in (300, 3600)
        if seconds <= offer["max_duration"]
        for people in yes
        if _enough(offer, people - {asker}) or _by_rule(offer, seconds)
    }


def _by_rule(offer: dict[str, Any], seconds: int) -> bool:
    in_group = offer["auto_group"] is None  # Nobody of these is in the group.
    return bool(offer["auto_approve"]) and seconds <= offer["auto_longest"] and in_group


def _enough(offer: dict[str, Any], people: frozenset[str]) -> bool:
    """Whether different people can be given to all stages; by trying every way."""

    def rest(stages: list[dict[str, Any]], left: frozenset[str]) -> bool:
        if not stages:
            return True
        able = left & set(stages[0]["people"])
        return any(
            rest(stages[1:], left - set(some))
            for some in combinations(sorted(able), stages[0]["quorum"])
        )

    return rest(offer["stages"], people)


@given(offers(), offers())
def test_whatever_lets_anything_new_happen_widens(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    if not _grants(after) <= _grants(before):
        assert widens(differences(Kind.OFFER, before, after))


@given(offers())
def test_no_change_is_no_difference(offer: dict[str, Any]) -> None:
    closed = offer | {"is_active": False}
    assert differences(Kind.OFFER, closed, dict(closed)) == ()
    opened = offer | {"is_active": True}
    assert differences(Kind.OFFER, opened, dict(opened)) == ()


@given(offers(), offers())
def test_the_way_back_from_what_narrows_widens(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    there = differences(Kind.OFFER, before, after)
    if narrows(there) and not widens(there):
        assert widens(differences(Kind.OFFER, after, before))


@given(
    st.sampled_from(list(Kind)),
    st.text(min_size=1).filter(lambda name: all(name not in fields for fields in FIELDS.values())),
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.lists(st.text())),
)
def test_what_nobody_has_described_widens(kind: Kind, name: str, value: Any) -> None:
    before = {"is_active": True, name: "before"}
    found = differences(kind, before, before | {name: value})
    assert widens(found) == (value != "before")


@given(st.dictionaries(st.sampled_from(list(OFFER)), st.from_type(bool) | st.text() | st.none()))
def test_values_of_a_wrong_kind_never_raise_and_never_narrow_alone(changed: dict[str, Any]) -> None:
    found = differences(Kind.OFFER, OFFER, OFFER | changed)
    for one in found:
        strange = one.field in {"max_duration", "eligible_users", "stages", "request_lifetime"}
        assert not strange or one.direction is WIDENING
