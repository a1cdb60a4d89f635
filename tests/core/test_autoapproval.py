"""When the rule of an offer approves: every condition, and nothing beside them."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.core.autoapproval import (
    LOOK_AGAIN,
    LOOK_FIRST,
    LOOK_FOUND,
    Case,
    Hours,
    Rule,
    objection_to_look,
    objections,
)

HOUR = timedelta(hours=1)
FRIDAY_NOON = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
BERLIN = Hours(
    ZoneInfo("Europe/Berlin"), "Europe/Berlin", frozenset({1, 2, 3, 4, 5}), time(9), time(17)
)
RULE = Rule(longest=HOUR, group="On call", hours=BERLIN)
GOOD = Case(
    sensitivity="low",
    approvals_needed=1,
    is_risky=False,
    is_extension=False,
    duration=HOUR,
    in_group=True,
    decided_at=FRIDAY_NOON,
    starts_at=FRIDAY_NOON,
)


def test_where_every_condition_holds_nothing_speaks_against_it() -> None:
    assert objections(RULE, GOOD) == ()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"sensitivity": "normal"}, "The sensitivity of the offer is not low."),
        ({"sensitivity": "high"}, "The sensitivity of the offer is not low."),
        ({"is_risky": True}, "The permissions are risky, and a rule never approves those."),
        ({"approvals_needed": 2}, "2 people must approve, and a rule never stands for several."),
        ({"is_extension": True}, "More time is always decided by people."),
        ({"duration": HOUR + timedelta(minutes=1)}, "The rule approves at most 1 h."),
        ({"in_group": False}, "The requester is not in the group On call."),
    ],
)
def test_each_condition_alone_leaves_it_to_people(changed: dict[str, Any], words: str) -> None:
    assert objections(RULE, replace(GOOD, **changed)) == (words,)


@pytest.mark.parametrize(
    ("moment", "holds"),
    [
        ("2026-11-27T08:00+00:00", True),
        ("2026-11-27T07:59:59+00:00", False),
        ("2026-11-27T15:59:59+00:00", True),
        ("2026-11-27T16:00+00:00", False),
        ("2026-11-28T12:00+00:00", False),
        # In summer the same clocks mean an hour earlier.
        ("2026-07-03T07:00+00:00", True),
        ("2026-07-03T15:00+00:00", False),
    ],
)
def test_hours_are_those_of_the_time_zone(moment: str, holds: bool) -> None:
    assert BERLIN.hold(datetime.fromisoformat(moment)) is holds


def test_hours_hold_for_the_decision_and_for_the_start() -> None:
    words = (
        "It is outside of the hours of the rule: Mon, Tue, Wed, Thu, Fri 09:00 to 17:00 in "
        "Europe/Berlin.",
    )
    late = FRIDAY_NOON + timedelta(days=1)
    assert objections(RULE, replace(GOOD, starts_at=late)) == words
    assert objections(RULE, replace(GOOD, decided_at=late)) == words
    assert objections(replace(RULE, hours=None), replace(GOOD, decided_at=late)) == ()


@given(
    st.builds(
        Case,
        sensitivity=st.sampled_from(["low", "normal", "high"]),
        approvals_needed=st.integers(1, 3),
        is_risky=st.booleans(),
        is_extension=st.booleans(),
        duration=st.timedeltas(timedelta(0), timedelta(hours=2)),
        in_group=st.booleans(),
        decided_at=st.just(FRIDAY_NOON),
        starts_at=st.just(FRIDAY_NOON),
    )
)
def test_a_rule_never_approves_more_than_its_closed_list(case: Case) -> None:
    if not objections(RULE, case):
        assert case.sensitivity == "low"
        assert case.approvals_needed == 1
        assert not case.is_risky
        assert not case.is_extension
        assert case.duration <= HOUR


@pytest.mark.parametrize(
    ("looked", "same", "clean", "words"),
    [
        (False, True, True, LOOK_FIRST),
        (True, False, True, LOOK_AGAIN),
        (True, True, False, LOOK_FOUND),
        (True, True, True, None),
    ],
)
def test_a_rule_waits_for_a_clean_look_at_the_very_plan(
    looked: bool, same: bool, clean: bool, words: str | None
) -> None:
    said = objection_to_look(looked=looked, is_of_this_plan=same, is_clean=clean)
    assert said == words
