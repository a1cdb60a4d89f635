"""Which approvals are enough: stages, each with a quorum, one after the other. Pure.

Approvals are enough when different people can be given to all stages, each to one that names
them, until every quorum is met: so a person counts once over all stages, and changing the order
of the stages takes nothing away that was said already. The order only says who is asked next.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Final

MOST_STAGES: Final = 3
LARGEST_QUORUM: Final = 5


@dataclass(frozen=True)
class Stage:
    """How many of which people must approve. `people` are keys of those who could right now."""

    name: str
    quorum: int
    people: frozenset[int] = frozenset()

    def without(self, person: int | None) -> "Stage":
        """The same, asked for somebody who must not decide."""
        return replace(self, people=self.people - {person})


NOBODY: Final = Stage("Approval", 1)
"""What stands for an offer without any stage: one approval, by nobody."""


def needed(stages: Iterable[Stage]) -> int:
    """How many different people must approve in all."""
    return sum(one.quorum for one in stages)


def strictest(
    now: Sequence[Stage], *, pinned: Sequence[int] = (), floor: int = 1
) -> tuple[Stage, ...]:
    """What a request must meet: of its offer as it is now and as it was when asked, the more.

    `pinned` are the quorums when asked, by position. Who may approve follows the offer as it is
    now. What a stage asked for that is no more, and what `floor` (all approvals at least) asks
    for beyond the stages, is added to the last one: nothing that was asked for is dropped.
    """
    stages = list(now) or [NOBODY]
    for at, quorum in enumerate(pinned[: len(stages)]):
        stages[at] = replace(stages[at], quorum=max(stages[at].quorum, quorum))
    short = max(0, floor - needed(stages) - sum(pinned[len(stages) :]))
    more = sum(pinned[len(stages) :]) + short
    return (*stages[:-1], replace(stages[-1], quorum=stages[-1].quorum + more))


@dataclass(frozen=True)
class Progress:
    """How far the approvals of one plan have come: by stage, who counts there."""

    stages: tuple[Stage, ...]
    counted: tuple[tuple[int, ...], ...]

    @property
    def open_at(self) -> int | None:
        """Index of the stage that is asked now; None when all are complete."""
        whole = zip(self.stages, self.counted, strict=True)
        return next((at for at, (one, by) in enumerate(whole) if len(by) < one.quorum), None)

    @property
    def open_stage(self) -> Stage | None:
        """The stage that is asked now."""
        return None if self.open_at is None else self.stages[self.open_at]

    @property
    def is_complete(self) -> bool:
        """Whether the approvals are enough."""
        return self.open_at is None

    @property
    def people(self) -> frozenset[int]:
        """Everybody who counts."""
        return frozenset(one for by in self.counted for one in by)


def progress(stages: Sequence[Stage], approved: Iterable[int]) -> Progress:
    """Give people to stages, earlier stages first, as many as can be.

    Kuhn's matching: somebody who counts in one stage moves to another that names them, where that
    makes room for somebody else. Whoever was placed stays placed, so an earlier stage never
    loses to a later one.
    """
    people = list(dict.fromkeys(approved))
    slots = [at for at, stage in enumerate(stages) for _ in range(stage.quorum)]
    taken: dict[int, int] = {}

    def place(slot: int, seen: set[int]) -> bool:
        for person in people:
            if person in seen or person not in stages[slots[slot]].people:
                continue
            seen.add(person)
            held = taken.get(person)
            if held is None or place(held, seen):
                taken[person] = slot
                return True
        return False

    ends = list(accumulate(stage.quorum for stage in stages))
    for slot in range(len(slots)):
        place(slot, set())
    counted = tuple(
        tuple(one for one in people if one in taken and end - stage.quorum <= taken[one] < end)
        for stage, end in zip(stages, ends, strict=True)
    )
    return Progress(tuple(stages), counted)


def advances(stages: Sequence[Stage], approved: Sequence[int], person: int) -> bool:
    """Whether this person is asked now: their approval would bring the open stage on."""
    before = progress(stages, approved)
    at = before.open_at
    if at is None or person in approved:
        return False
    after = progress(stages[: at + 1], [*approved, person])
    return len(after.people) > sum(len(by) for by in before.counted[: at + 1])


def can_be_met(stages: Sequence[Stage], without: int | None = None) -> bool:
    """Whether enough different people could approve, one of them aside."""
    left = [stage.without(without) for stage in stages]
    # Of a large group nobody needs more than as many as could ever be asked for.
    most = needed(left)
    some = {one for stage in left for one in sorted(stage.people)[:most]}
    return progress(left, sorted(some)).is_complete
