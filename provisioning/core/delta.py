"""What access would add to what a person has already: a difference, for whoever decides."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Held:
    """Access of one role into one account, held or asked for."""

    account_id: str
    account_name: str
    role: str
    policies: frozenset[str]
    """Names of managed policies."""
    statements: bool
    """Whether an inline policy adds statements of its own."""
    risks: tuple[str, ...]
    """What of it is risky, in sentences."""
    until: datetime | None = None
    code: str = ""


@dataclass(frozen=True)
class Delta:
    """The difference that one access makes."""

    opens: str
    """Name of an account that the person cannot enter otherwise; empty when they can."""
    beside: tuple[Held, ...]
    """What they hold in the same account."""
    adds: tuple[str, ...]
    """Managed policies that they do not have there already."""
    again: tuple[str, ...]
    """Managed policies that they have there by another role."""
    statements: bool
    """Whether it brings statements of its own, which nobody compares here."""
    risks: tuple[str, ...]
    """Risks that nothing which they hold there has."""

    @property
    def nothing_new(self) -> bool:
        """Whether they have all of it there already, as far as can be compared."""
        return not (self.opens or self.adds or self.statements or self.risks)


def difference(asked: Held, held: Sequence[Held]) -> Delta:
    """What `asked` adds to what is `held`."""
    beside = tuple(one for one in held if one.account_id == asked.account_id)
    there = _all(one.policies for one in beside)
    known = _all(one.risks for one in beside)
    return Delta(
        opens="" if beside else asked.account_name,
        beside=beside,
        adds=tuple(sorted(asked.policies - there)),
        again=tuple(sorted(asked.policies & there)),
        statements=asked.statements,
        risks=tuple(one for one in asked.risks if one not in known),
    )


def _all(groups: Iterable[Iterable[str]]) -> set[str]:
    return {one for group in groups for one in group}
