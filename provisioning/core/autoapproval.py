"""Whether the rule of an offer approves a request, and if not, why: a closed list of conditions.

A rule is no person: it decides only where one approval is enough, for low sensitivity, and after a
worker has looked at both accounts and found nothing to speak of. Everything else goes to people.
"""

from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from typing import Final

from accounts.durations import MINUTE, in_words

WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
LOW: Final = "low"


@dataclass(frozen=True)
class Hours:
    """Working hours of one time zone. `days` are as in ISO 8601: Monday is 1."""

    zone: tzinfo
    zone_name: str
    days: frozenset[int]
    opens: time
    closes: time

    def hold(self, moment: datetime) -> bool:
        """Whether a moment lies within them. The end is outside."""
        there = moment.astimezone(self.zone)
        return there.isoweekday() in self.days and self.opens <= there.time() < self.closes

    @property
    def words(self) -> str:
        """`Mon, Tue 09:00 to 17:00 in Europe/Berlin`."""
        days = ", ".join(WEEKDAYS[one - 1] for one in sorted(self.days))
        return f"{days} {self.opens:%H:%M} to {self.closes:%H:%M} in {self.zone_name}"


@dataclass(frozen=True)
class Rule:
    """What an offer lets pass without a person. Without a group or hours, these ask nothing."""

    longest: timedelta
    group: str = ""
    hours: Hours | None = None


@dataclass(frozen=True)
class Case:
    """What a rule looks at."""

    sensitivity: str
    approvals_needed: int
    is_risky: bool
    is_extension: bool
    duration: timedelta
    in_group: bool
    """Whether the requester is in the rule's group; true where it names none."""
    decided_at: datetime
    starts_at: datetime
    """When the access would begin: hours hold for both."""


def objections(rule: Rule, case: Case) -> tuple[str, ...]:
    """Every condition that does not hold, as sentences; none when the rule approves."""
    found = (
        ("The sensitivity of the offer is not low.", case.sensitivity == LOW),
        ("The permissions are risky, and a rule never approves those.", not case.is_risky),
        (
            f"{case.approvals_needed} people must approve, and a rule never stands for several.",
            case.approvals_needed == 1,
        ),
        ("More time is always decided by people.", not case.is_extension),
        (
            f"The rule approves at most {in_words(rule.longest // MINUTE)}.",
            case.duration <= rule.longest,
        ),
        (f"The requester is not in the group {rule.group}.", case.in_group),
        (
            f"It is outside of the hours of the rule: {rule.hours.words if rule.hours else ''}.",
            _in_hours(rule.hours, case),
        ),
    )
    return tuple(sentence for sentence, holds in found if not holds)


def _in_hours(hours: Hours | None, case: Case) -> bool:
    moments = (case.decided_at, max(case.decided_at, case.starts_at))
    return hours is None or all(hours.hold(one) for one in moments)


LOOK_FIRST: Final = "A worker has not looked at both accounts yet."
LOOK_AGAIN: Final = "What a worker looked at is no longer what is asked for."
LOOK_FOUND: Final = "A worker found something in the accounts that a person should see."


def objection_to_look(*, looked: bool, is_of_this_plan: bool, is_clean: bool) -> str | None:
    """Why the look of a worker is not good enough for a rule; None when it is."""
    if not looked:
        return LOOK_FIRST
    if not is_of_this_plan:
        return LOOK_AGAIN
    return None if is_clean else LOOK_FOUND
