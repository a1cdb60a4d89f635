"""What a run is to show, and what it saw: the figures that the goals speak of."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Final

KILLS: Final = "kill matrix"
RUNS: Final = "random runs"
ORPHANS: Final = "orphans after two sweeps"
LOST: Final = "lost commands"
LATE: Final = "seconds of access past the end"
FOREIGN: Final = "mutating calls on foreign objects"
UNENTITLED: Final = "access that nothing entitles to"
REVOKE: Final = "click on Revoke to lock-out"
REVOKE_ALONE: Final = "the same with Redis gone"
REVOKE_UNHEARD: Final = "the same with all workers dead"
CLEAN_UP: Final = "clean-up after the faults stop"

COUNTED: Final = (ORPHANS, LOST, LATE, FOREIGN, UNENTITLED)
"""None of these may ever happen."""
TIMED: Final = {
    REVOKE: (95, 5.0, 30.0),
    REVOKE_ALONE: (95, 5.0, 30.0),
    REVOKE_UNHEARD: (95, None, 30.0),
    CLEAN_UP: (99, 120.0, None),
}
"""The percentile that has a goal, the goal, and the most that any may take, in seconds."""


@dataclass
class Seen:
    """Everything that was told of a run."""

    passed: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Cases, by the kind of their unit."""
    played: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    amounts: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    samples: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def case(self, unit: str, *, failed: bool) -> None:
        """A case of a unit was played."""
        kind = unit.partition(":")[0]
        self.played[kind] += 1
        self.passed[kind] += not failed

    def figure(self, figure: str, value: float) -> None:
        """A figure was told."""
        if figure in TIMED:
            self.samples[figure].append(value)
        else:
            self.amounts[figure] += value

    def table(self) -> str:
        """The goals, with what was seen of each."""
        lines = [f"  {words:<36}{seen:<36}{goal}" for words, seen, goal in self._rows()]
        return "\n".join(lines)

    def _rows(self) -> Iterator[tuple[str, str, str]]:
        yield "goal", "seen", "wanted"
        for words, kind in ((KILLS, "kill"), (RUNS, "random")):
            if self.played[kind]:
                yield words, f"{self.passed[kind]} of {self.played[kind]} passed", "all"
        for figure in COUNTED:
            yield figure, f"{self.amounts[figure]:g}", "0"
        for figure, (rank, goal, most) in TIMED.items():
            if found := self.samples[figure]:
                seen = f"p{rank} {percentile(found, rank):.1f} s, max {max(found):.1f} s"
                wanted = [f"p{rank} {goal:g} s"] if goal else []
                wanted += [f"max {most:g} s"] if most else []
                yield figure, f"{seen} of {len(found)}", ", ".join(wanted)


def percentile(values: Sequence[float], rank: int) -> float:
    """The smallest value that `rank` of a hundred do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, ceil(len(ordered) * rank / 100) - 1)]
