"""What a measure answers: ratios taken in one run, beside their goals, as a Markdown table."""

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    `goal` is the most that `value` may be, or the least where `at_least` is set; None means that
    the figure is shown and not judged. `shown` is the value in words where a bare number would
    not do, `beside` the absolute values.
    """

    number: str
    what: str
    value: float
    goal: float | None = None
    at_least: bool = False
    shown: str = ""
    repetitions: int = 1
    beside: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None without a goal."""
        if self.goal is None:
            return None
        return self.value >= self.goal if self.at_least else self.value <= self.goal

    @property
    def row(self) -> str:
        """The line in Markdown."""
        verdict = {True: "met", False: "**not met**", None: ""}[self.met]
        bound = "" if self.goal is None else f"{'≥' if self.at_least else '≤'} {self.goal:g}"
        value = self.shown or f"{self.value:.2f}"
        small = f"<sub>{self.beside}</sub>" if self.beside else ""
        cells = (self.number, self.what, value, bound, verdict, str(self.repetitions), small)
        return f"| {' | '.join(cells)} |"


@dataclass(frozen=True)
class Skipped:
    """A figure that could not be taken here, and why."""

    number: str
    why: str

    @property
    def row(self) -> str:
        """The line in Markdown."""
        return f"| {self.number} | left out: {self.why} | | | | | |"


@dataclass(frozen=True)
class Failed:
    """Something went wrong, so that no figure would mean anything."""

    number: str
    why: str

    @property
    def row(self) -> str:
        """The line in Markdown."""
        return f"| {self.number} | **went wrong**: {self.why} | | | | | |"


type Line = Figure | Skipped | Failed

HEAD = "| # | What | Ratio or number | Goal | | n | Absolute |\n|---|---|---|---|---|---|---|"


def table(lines: Iterable[Line]) -> str:
    """All lines, under their head."""
    return "\n".join([HEAD, *(line.row for line in lines)])


# --- Taking ratios ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Pairs:
    """Seconds of two things that were done in turn: A, B, A, B."""

    ours: Sequence[float]
    theirs: Sequence[float]

    @property
    def ratio(self) -> float:
        """Median of the ratios of neighbours: what disturbs the machine disturbs both."""
        return statistics.median(a / b for a, b in zip(self.ours, self.theirs, strict=True))

    @property
    def extra(self) -> float:
        """Median of the differences of neighbours, in seconds."""
        return statistics.median(a - b for a, b in zip(self.ours, self.theirs, strict=True))

    @property
    def beside(self) -> str:
        """Both medians."""
        ours, theirs = statistics.median(self.ours), statistics.median(self.theirs)
        return f"{_ms(ours)} against {_ms(theirs)}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def clocked(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """What a piece of work takes on a clock: wall time, or `time.process_time` for CPU."""
    began = clock()
    work()
    return clock() - began


def in_turn[One, Other](
    ours: Callable[[One], object],
    theirs: Callable[[Other], object],
    for_us: Sequence[One],
    for_them: Sequence[Other],
    clock: Callable[[], float] = time.perf_counter,
) -> Pairs:
    """Do both in turn, one thing each. Which goes first alternates."""
    mine: list[float] = []
    other: list[float] = []
    for number, (one, two) in enumerate(zip(for_us, for_them, strict=True)):
        turns = [(mine, partial(ours, one)), (other, partial(theirs, two))]
        for seconds, work in turns if number % 2 == 0 else reversed(turns):
            seconds.append(clocked(work, clock))
    return Pairs(mine, other)


def ratio(number: str, what: str, pairs: Pairs, goal: float | None) -> Figure:
    """How many times as long as the other thing ours takes."""
    beside = f"{pairs.beside}; {pairs.extra * 1000:+.1f} ms"
    return Figure(number, what, pairs.ratio, goal, repetitions=len(pairs.ours), beside=beside)


def faster(number: str, what: str, pairs: Pairs, goal: float) -> Figure:
    """How many times as fast as the other thing ours is."""
    return Figure(
        number,
        what,
        1 / pairs.ratio,
        goal,
        at_least=True,
        repetitions=len(pairs.ours),
        beside=pairs.beside,
    )
