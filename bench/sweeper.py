"""Rounds of the sweeper over more and more live grants, with nothing due and with some.

A round is done in a process of its own (`bench/sweeping.py`), which is told by a line of text how
many grants are to be due, and answers with what the round took.
"""

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import IO, Final

from bench.databases import database, registry
from bench.figures import Figure, Line, Pairs, ratio
from bench.measures import Size
from bench.server import Control
from sandbox.servers import BASE_DIR

SOME: Final = 50
"""Grants that are due where some are."""
MOST_GROWTH: Final = 1.1


@dataclass(frozen=True)
class Round:
    """What one round took."""

    due: int
    queries: int
    seconds: float
    resident: int


@dataclass
class Sweeping:
    """A process that sweeps a database of so many live grants."""

    live: int
    process: subprocess.Popen[str]

    def round(self, due: int = 0) -> Round:
        """One round, with so many grants due."""
        lines: tuple[IO[str] | None, ...] = (self.process.stdin, self.process.stdout)
        ask, answer = lines
        if ask is None or answer is None:
            raise ValueError("The process was started without its pipes.")
        ask.write(f"{due}\n")
        ask.flush()
        return Round(**json.loads(answer.readline()))


def rounds(aws: Control, size: Size) -> list[Line]:
    """Queries, time and memory of a round, beside those of the fewest live grants."""
    del aws
    repetitions = max(2, size.rounds * 5)
    with ExitStack() as stack:
        stack.enter_context(registry())
        few, *more = (stack.enter_context(_sweeping(live)) for live in sorted(size.live))
        lines: list[Line] = []
        for many in more:
            idle = [(many.round(), few.round()) for _ in range(repetitions)]
            busy = [(many.round(SOME), few.round(SOME)) for _ in range(size.rounds)]
            lines += _lines(many.live, few.live, idle, busy)
    return lines


def _lines(
    many: int, few: int, idle: list[tuple[Round, Round]], busy: list[tuple[Round, Round]]
) -> list[Line]:
    if any(one.due for pair in idle for one in pair):
        raise AssertionError("Something was due in a round that was to find nothing.")
    over = f"{many:,} live grants over {few:,}"
    queries = statistics.median(ours.queries for ours, _ in idle)
    theirs = statistics.median(one.queries for _, one in idle)
    grown = (idle[-1][0].resident - idle[0][0].resident) / 1e6
    per = statistics.median(ours.queries - queries for ours, _ in busy) / SOME
    return [
        Figure(
            "sweep",
            f"queries of a round with nothing due, {over}",
            queries / theirs,
            1,
            repetitions=len(idle),
            beside=f"{queries:g} against {theirs:g}",
        ),
        ratio("sweep", f"time of a round with nothing due, {over}", _seconds(idle), MOST_GROWTH),
        Figure(
            "sweep",
            f"MB that {len(idle)} such rounds add, {many:,} live grants",
            grown,
            1,
            repetitions=1,
        ),
        ratio("sweep", f"time of a round that sends {SOME} on, {over}", _seconds(busy), None),
        Figure(
            "sweep",
            f"queries for each of {SOME} that are due, {many:,} live grants",
            per,
            repetitions=len(busy),
            beside=f"{statistics.median(one.seconds for one, _ in busy) * 1000:.0f} ms a round",
        ),
    ]


def _seconds(pairs: list[tuple[Round, Round]]) -> Pairs:
    return Pairs([one.seconds for one, _ in pairs], [one.seconds for _, one in pairs])


@contextmanager
def _sweeping(live: int) -> Iterator[Sweeping]:
    with database(live, live=100) as (env, _):
        # What it sends is for nobody: not for the workers of other measures.
        env["BROKER_URL"] = env["BROKER_URL"].rpartition("/")[0] + "/7"
        process = subprocess.Popen(  # This project's own.
            [sys.executable, "-m", "bench.sweeping"],
            env=env,
            cwd=BASE_DIR,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            one = Sweeping(live, process)
            for due in (0, SOME, 0):
                one.round(due)
            yield one
        finally:
            process.kill()
            process.communicate()
