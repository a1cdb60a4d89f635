"""Which rules a request was asked and decided under, and which were looked at and lost.

Facts in, sentences out. The result is stored with the request when it is asked and again with each
decision, so that requester, approver and auditor read the same, and read it also when the rules
have changed since.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from accounts.durations import MINUTE, in_words


class Outcome(StrEnum):
    """What became of a rule."""

    APPLIED = "applied"
    """It held, and what followed rests on it."""
    LOST = "lost"
    """It was looked at; another was stricter, or it did not fit."""


@dataclass(frozen=True)
class Considered:
    """One rule that was looked at."""

    topic: str
    outcome: Outcome
    sentence: str


@dataclass(frozen=True)
class StageFacts:
    """One approval stage: what the offer says by now, what was pinned, and what holds."""

    name: str
    people: Sequence[str]
    groups: Sequence[str]
    said: int
    pinned: int
    holds: int


@dataclass(frozen=True)
class RuleFacts:
    """The automatic rule of an offer. `decides`: nothing speaks against it."""

    exists: bool
    objections: Sequence[str] = ()
    has_decided: bool = False


@dataclass(frozen=True)
class Facts:
    """Everything that a trace tells of, as it was at one moment."""

    requester: str
    by_name: bool
    groups: Sequence[str]
    """Groups of theirs that may ask."""
    other_groups: Sequence[str]
    """Groups that may ask, and that they are not in."""
    duration: timedelta
    longest: timedelta
    own_limit: timedelta
    """What Sallyport allows at most, whatever an offer says."""
    ticket: str
    ticket_required: bool
    ticket_pattern: str
    stages: Sequence[StageFacts]
    risk: str
    by_risk: int
    """How many people the risk of the permissions demands."""
    rule: RuleFacts
    other_offers: Sequence[str] = ()
    """Other offers that lead this person to the same account."""
    said: str = ""
    """The decision that this is stored with: `Bob approved in the stage “Approval”.`"""


def trace(facts: Facts) -> tuple[Considered, ...]:
    """What applied and what lost, in the order in which it was looked at."""
    return (
        *_eligibility(facts),
        *_offers(facts),
        *_limits(facts),
        *_ticket(facts),
        *_stages(facts),
        *_risk(facts),
        *_rule(facts),
        *_verdict(facts),
    )


def in_data(found: Iterable[Considered]) -> list[dict[str, Any]]:
    """A trace as rows and pages have it."""
    return [asdict(one) | {"outcome": one.outcome.value} for one in found]


def _applied(topic: str, sentence: str) -> Considered:
    return Considered(topic, Outcome.APPLIED, sentence)


def _lost(topic: str, sentence: str) -> Considered:
    return Considered(topic, Outcome.LOST, sentence)


ASK: Final = "Who may ask"
OFFER: Final = "The offer"
LIMIT: Final = "How long"
TICKET: Final = "Ticket"
APPROVE: Final = "Who approves"
RISK: Final = "Risk"
RULE: Final = "Approval by rule"
VERDICT: Final = "Decision"


def _eligibility(facts: Facts) -> Iterator[Considered]:
    if facts.by_name:
        yield _applied(ASK, f"{facts.requester} is named as one who may ask.")
    for group in facts.groups:
        yield _applied(ASK, f"{facts.requester} is in the group {group}, which may ask.")
    if not facts.by_name and not facts.groups:
        yield _lost(ASK, f"The offer names neither {facts.requester} nor a group of theirs.")
    for group in facts.other_groups:
        yield _lost(ASK, f"The group {group} may ask as well; {facts.requester} is not in it.")


def _offers(facts: Facts) -> Iterator[Considered]:
    for offer in facts.other_offers:
        sentence = f"{offer} leads to the same account. It was not asked for, so its rules do not"
        yield _lost(OFFER, f"{sentence} count here, neither to allow more nor to ask for less.")


def _limits(facts: Facts) -> Iterator[Considered]:
    asked, longest = in_words(facts.duration // MINUTE), in_words(facts.longest // MINUTE)
    yield _applied(LIMIT, f"The offer allows at most {longest}; {asked} were asked for.")
    if facts.own_limit > facts.longest:
        own = in_words(facts.own_limit // MINUTE)
        yield _lost(LIMIT, f"The limit for all offers is {own}; the offer is stricter.")


def _ticket(facts: Facts) -> Iterator[Considered]:
    pattern = f" of the pattern {facts.ticket_pattern}" if facts.ticket_pattern else ""
    if facts.ticket_required:
        yield _applied(TICKET, f"The offer demands a ticket{pattern}: {facts.ticket or 'none'}.")
    elif facts.ticket:
        yield _applied(TICKET, f"{facts.ticket} was given; the offer does not demand a ticket.")
    else:
        yield _lost(TICKET, "The offer demands no ticket, and none was given.")


def _stages(facts: Facts) -> Iterator[Considered]:
    for number, stage in enumerate(facts.stages, 1):
        who = _who(stage)
        several = f"Stage {number}, {stage.name}: " if len(facts.stages) > 1 else ""
        yield _applied(APPROVE, f"{several}{_people(stage.holds)} of {who} must approve.")
        if stage.pinned > stage.said:
            yield _lost(
                APPROVE,
                f"{several}the offer asks for {stage.said} by now; {stage.pinned} were asked for "
                "when this was requested, and the stricter holds.",
            )
        elif 0 < stage.pinned < stage.said:
            yield _lost(
                APPROVE,
                f"{several}{stage.pinned} were asked for when this was requested; the offer asks "
                f"for {stage.said} by now, and the stricter holds.",
            )


def _who(stage: StageFacts) -> str:
    named = [*stage.people, *(f"the group {one}" for one in stage.groups)]
    return ", ".join(named) or "nobody"


def _people(number: int) -> str:
    return "1 person" if number == 1 else f"{number} different people"


def _risk(facts: Facts) -> Iterator[Considered]:
    said = sum(max(one.said, one.pinned) for one in facts.stages)
    words = f"The permissions are of the class “{facts.risk}”, which demands"
    if facts.by_risk > said:
        yield _applied(RISK, f"{words} {_people(facts.by_risk)}: more than the stages say.")
    else:
        yield _lost(RISK, f"{words} {_people(facts.by_risk)}; the stages ask for as many or more.")


def _rule(facts: Facts) -> Iterator[Considered]:
    if not facts.rule.exists:
        yield _lost(RULE, "The offer has no rule, so people decide.")
    elif facts.rule.has_decided:
        yield _applied(RULE, "Every condition of the rule held, so nobody had to decide.")
    elif not facts.rule.objections:
        yield _applied(RULE, "The rule approves, unless a worker finds something in the accounts.")
    for objection in facts.rule.objections:
        yield _lost(RULE, f"The rule does not decide: {objection}")


def _verdict(facts: Facts) -> Iterator[Considered]:
    if facts.said:
        yield _applied(VERDICT, facts.said)
