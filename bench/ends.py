"""Many grants that end at the same moment, in an account that takes few calls a second."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from audit.clock import database_now
from bench.aws import BURST, Record
from bench.dispatch import worker_environment
from bench.figures import Figure, Line, clocked
from bench.history import cookie
from bench.measures import Size
from bench.pages import Browser, p95
from bench.server import Control
from bench.world import NotAsWanted, World, in_parallel, make
from provisioning.engine.converge import converge
from provisioning.models import Grant
from sandbox import servers
from sandbox.processes import Supervisor, free_port

LEAD_EACH = 0.4  # seconds for each grant, before the first end
SPREAD = 60  # seconds over which the ends are spread in a full run
LOOK_EVERY = 0.1
WATCHED = "/approvals/"
"""The page that somebody looks at meanwhile."""
PATIENCE = 3.0  # times the arithmetic minimum


def many_ends(aws: Control, size: Size) -> list[Line]:
    """Nobody gets through after the end; and how long it takes to clean up."""
    world = make(aws)
    begins = database_now() + timedelta(seconds=size.lead + LEAD_EACH * size.ends)
    grants = _ending(world, size.ends, begins.replace(microsecond=0))
    late = _seconds_past_the_end(world, grants)
    aws.limit(size.rate)
    aws.clear()
    with (
        _workers_sweeper_and_web(size.rate) as port,
        closing(Browser(port, cookie(world.approver.username))) as approver,
    ):
        idle = [_page(approver) for _ in range(max(2, size.looks))][1:]
        _sleep_until(grants[0].ends_at)
        began = time.monotonic()
        busy = _wait_for_the_last(
            grants, began, approver, patience=60 + PATIENCE * 9 * size.ends / size.rate
        )
    took = time.monotonic() - began
    calls = aws.calls()
    aws.limit(0)
    world.check(grants, exist=False)
    return [
        Figure("P10", "seconds past the end, on AWS's clock", late, 0, shown=f"{late:g} s"),
        _clean_up(calls, took, size),
        Figure(
            "P10",
            f"p95 of {WATCHED} while {size.ends} ends are cleaned up, over idle",
            p95(busy) / p95(idle),
            3,
            repetitions=len(busy),
            beside=f"{p95(busy) * 1000:.1f} ms against {p95(idle) * 1000:.1f} ms",
        ),
    ]


def _page(browser: Browser) -> float:
    return clocked(lambda: browser.get(WATCHED))


def _ending(world: World, number: int, begins: datetime) -> list[Grant]:
    """Active grants that end together, or within a minute where they are very many."""
    left = begins - database_now()
    spread = SPREAD if number >= SPREAD * 5 else 1
    grants = [
        grant
        for second in range(spread)
        for grant in world.grants(
            len(range(second, number, spread)), left + timedelta(seconds=second)
        )
    ]
    in_parallel(converge, [grant.pk for grant in grants], 4)
    world.check(grants, exist=True)
    return sorted(grants, key=lambda grant: grant.ends_at)


def _seconds_past_the_end(world: World, grants: Sequence[Grant]) -> float:
    """How long after its end AWS would let somebody in; it never depends on our processes."""
    ends = world.trust_ends(grants)
    return max((stated - end).total_seconds() for end, stated in ends)


@contextmanager
def _workers_sweeper_and_web(rate: float) -> Iterator[int]:
    """All processes of an installation, told by its operators what the accounts take. Yields the
    port of the web."""
    env = worker_environment() | {"SALLYPORT_CALLS_PER_SECOND": str(rate)}
    supervisor, port = Supervisor(), free_port()
    with TemporaryDirectory(prefix="sallyport-bench-") as folder:
        try:
            supervisor.start(
                servers.worker(log=Path(folder) / "worker.log", env=env),
                servers.sweeper(log=Path(folder) / "sweeper.log", env=env),
                servers.web(port, log=Path(folder) / "web.log", env=env),
            )
            supervisor.wait_ready(timeout=60)
            yield port
        finally:
            supervisor.stop()


def _sleep_until(moment: datetime) -> None:
    time.sleep(max(0.0, (moment - database_now()).total_seconds()))


def _wait_for_the_last(
    grants: Sequence[Grant], began: float, approver: Browser, *, patience: float
) -> list[float]:
    """Watch a page until all have ended. Answers the seconds that it took, each time."""
    seconds: list[float] = []
    keys = [grant.pk for grant in grants]
    while Grant.objects.filter(pk__in=keys).exclude(phase="ended").exists():
        if time.monotonic() - began > patience:
            raise NotAsWanted(f"Not all grants had ended after {patience:.0f} s.")
        seconds.append(_page(approver))
        time.sleep(LOOK_EVERY)
    return seconds or [_page(approver)]


def _clean_up(calls: Sequence[Record], took: float, size: Size) -> Figure:
    """The busiest account decides: its calls cannot be made any faster."""
    limited = [call for call in calls if call.action != "AssumeRole"]
    refused = sum(call.worked == 0 for call in limited)
    busiest = max(Counter(call.account for call in limited if call.worked).values())
    least = max((busiest - BURST) / size.rate, busiest / size.rate / 2)
    return Figure(
        "P10",
        f"clean-up of {size.ends} ends at {size.rate:g} calls a second, over the least it can take",
        took / least,
        1.2,
        beside=f"{took:.1f} s against {least:.1f} s; {busiest} calls; {refused} throttled",
    )
