"""The decision trace: what applied, what lost, in words."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from provisioning.core.trace import Facts, RuleFacts, StageFacts, in_data, trace

HOUR = timedelta(hours=1)
BOB = StageFacts("Approval", ["Bob"], [], said=1, pinned=1, holds=1)
FACTS = Facts(
    requester="Alice",
    by_name=True,
    groups=[],
    other_groups=[],
    duration=HOUR,
    longest=4 * HOUR,
    own_limit=168 * HOUR,
    ticket="",
    ticket_required=False,
    ticket_pattern="",
    stages=[BOB],
    risk="Reads data",
    by_risk=1,
    rule=RuleFacts(exists=False),
)


def told(facts: Facts, outcome: str) -> list[str]:
    return [one["sentence"] for one in in_data(trace(facts)) if one["outcome"] == outcome]


def test_the_plain_case_is_told_as_a_whole() -> None:
    assert in_data(trace(FACTS)) == [
        {
            "topic": "Who may ask",
            "outcome": "applied",
            "sentence": "Alice is named as one who may ask.",
        },
        {
            "topic": "How long",
            "outcome": "applied",
            "sentence": "The offer allows at most 4 h; 1 h were asked for.",
        },
        {
            "topic": "How long",
            "outcome": "lost",
            "sentence": "The limit for all offers is 7 d; the offer is stricter.",
        },
        {
            "topic": "Ticket",
            "outcome": "lost",
            "sentence": "The offer demands no ticket, and none was given.",
        },
        {
            "topic": "Who approves",
            "outcome": "applied",
            "sentence": "1 person of Bob must approve.",
        },
        {
            "topic": "Risk",
            "outcome": "lost",
            "sentence": "The permissions are of the class “Reads data”, which demands 1 person; "
            "the stages ask for as many or more.",
        },
        {
            "topic": "Approval by rule",
            "outcome": "lost",
            "sentence": "The offer has no rule, so people decide.",
        },
    ]


STRICTER_WHEN_ASKED = StageFacts("Security", [], ["Board"], said=1, pinned=2, holds=2)
STRICTER_NOW = StageFacts("Security", [], ["Board"], said=2, pinned=1, holds=2)


@pytest.mark.parametrize(
    ("changed", "outcome", "sentence"),
    [
        (
            {"by_name": False, "groups": ["Ops"]},
            "applied",
            "Alice is in the group Ops, which may ask.",
        ),
        (
            {"other_groups": ["Board"]},
            "lost",
            "The group Board may ask as well; Alice is not in it.",
        ),
        ({"by_name": False}, "lost", "The offer names neither Alice nor a group of theirs."),
        (
            {"ticket_required": True, "ticket_pattern": "OPS-[0-9]+", "ticket": "OPS-1"},
            "applied",
            "The offer demands a ticket of the pattern OPS-[0-9]+: OPS-1.",
        ),
        (
            {"ticket": "OPS-1"},
            "applied",
            "OPS-1 was given; the offer does not demand a ticket.",
        ),
        (
            {"stages": [BOB, STRICTER_WHEN_ASKED]},
            "applied",
            "Stage 2, Security: 2 different people of the group Board must approve.",
        ),
        (
            {"stages": [BOB, STRICTER_WHEN_ASKED]},
            "lost",
            "Stage 2, Security: the offer asks for 1 by now; 2 were asked for when this was "
            "requested, and the stricter holds.",
        ),
        (
            {"stages": [STRICTER_NOW]},
            "lost",
            "1 were asked for when this was requested; the offer asks for 2 by now, and the "
            "stricter holds.",
        ),
        (
            {"by_risk": 2, "risk": "High risk"},
            "applied",
            "The permissions are of the class “High risk”, which demands 2 different people: more "
            "than the stages say.",
        ),
        (
            {"rule": RuleFacts(exists=True)},
            "applied",
            "The rule approves, unless a worker finds something in the accounts.",
        ),
        (
            {"rule": RuleFacts(exists=True, has_decided=True)},
            "applied",
            "Every condition of the rule held, so nobody had to decide.",
        ),
        (
            {"rule": RuleFacts(exists=True, objections=["It is late."])},
            "lost",
            "The rule does not decide: It is late.",
        ),
        (
            {"other_offers": ["Admin on A → B"]},
            "lost",
            "Admin on A → B leads to the same account. It was not asked for, so its rules do not "
            "count here, neither to allow more nor to ask for less.",
        ),
        ({"said": "Bob approved."}, "applied", "Bob approved."),
    ],
)
def test_a_rule_is_told_with_what_became_of_it(
    changed: dict[str, Any], outcome: str, sentence: str
) -> None:
    assert sentence in told(replace(FACTS, **changed), outcome)
