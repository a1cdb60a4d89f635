"""What one grant costs in a warm worker: calls, round trips, time, CPU, memory, side by side.

Each measure takes the server and a size, and answers lines of the table. Its worlds are its own.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.aws import Record
from bench.baselines import Clients, Replay, Tuned, naive
from bench.figures import Figure, Line, Pairs, faster, in_turn, ratio
from bench.server import Control, longest_chain
from bench.world import World, in_parallel, latency, make
from provisioning.engine.converge import converge
from provisioning.models import Grant

RESIDENT = Path("/proc/self/statm")
PAGE_BYTES = 4096


@dataclass(frozen=True)
class Size:
    """How much a run does."""

    pairs: int
    """Repetitions of each comparison."""
    batch: int
    """Grants at once where many are worked on in parallel."""
    memory: int
    """Grants over which memory is watched."""
    messages: int
    """Approvals and revocations through the broker."""
    ends: int
    """Grants that end together."""
    rate: float
    """Calls a second that an account then takes."""
    scanned: int
    """Grants of the drift scan, in ten accounts."""
    tools: bool = False
    """Whether to install and run AWS CLI and Ansible."""
    lead: float = 15
    """Seconds before the first end, beside those that making each grant takes."""
    warm_up: int = 6
    """Messages before the first that counts: each process of a worker is to have had some."""
    latencies: tuple[float, ...] = (0, 40, 120)
    usual: float = 40
    """Milliseconds of a call where one latency has to do."""
    workers: tuple[int, ...] = (1, 2, 4)
    """Processes of a worker whose throughput is compared."""
    rounds: int = 3
    """Repetitions of what takes some seconds each."""
    live: tuple[int, ...] = (100, 1_000)
    """Live grants of the databases whose sweeps are compared."""
    histories: tuple[int, ...] = (1_000, 100_000)
    """Grants of the databases whose pages are compared."""
    looks: int = 40
    """How often each page is asked for."""


QUICK = Size(pairs=9, batch=32, memory=150, messages=9, ends=60, rate=10, scanned=1000)
FULL = Size(
    pairs=25,
    batch=96,
    memory=1000,
    messages=25,
    ends=1000,
    rate=5,
    scanned=10_000,
    tools=True,
    histories=(1_000, 100_000, 1_000_000),
    looks=60,
    rounds=9,
    live=(100, 1_000, 10_000),
)
TINY = Size(
    pairs=1,
    batch=2,
    memory=2,
    messages=1,
    ends=2,
    rate=500,
    scanned=20,
    lead=4,
    warm_up=1,
    latencies=(0,),
    usual=0,
    workers=(1, 2),
    rounds=1,
    live=(20, 40),
    histories=(20, 100),
    looks=2,
)
"""For the tests: does every measure still work?"""


def watched(aws: Control, work: Callable[[], object]) -> list[Record]:
    """The calls that a piece of work makes."""
    aws.clear()
    work()
    return aws.calls()


def provision(grant: Grant) -> None:
    """What a worker does for a grant that was approved."""
    converge(grant.pk)


def one_watched(aws: Control, world: World, *, revoke: bool = False) -> tuple[Grant, list[Record]]:
    """A grant, and the calls of its provisioning or of its removal."""
    (grant,) = world.grants(1)
    calls = watched(aws, lambda: provision(grant))
    world.check([grant], exist=True)
    if revoke:
        world.revoke(grant)
        calls = watched(aws, lambda: provision(grant))
        world.check([grant], exist=False)
    return grant, calls


# --- P1: calls -------------------------------------------------------------------------------


def calls_of_a_grant(aws: Control, size: Size) -> list[Line]:
    """How many calls, and how many of them wait for another one."""
    world = make(aws)
    with latency(aws, size.usual):
        one_watched(aws, world)
        runs = [_both(aws, world) for _ in range(min(size.pairs, 5))]
        _, first = one_watched(aws, make(aws, prepared=False))
    given, taken = [one for one, _ in runs], [one for _, one in runs]
    return [
        _calls("P1", "calls of a grant", given, goal=10),
        _calls("P1", "calls of a revocation", taken, goal=9),
        _calls("P1", "calls of the first grant of a pair that nobody prepared", [first], goal=None),
        _chain("P2", "round trips of a grant", given, goal=6),
        _chain("P2", "round trips of a revocation", taken, goal=None),
    ]


def _both(aws: Control, world: World) -> tuple[list[Record], list[Record]]:
    return one_watched(aws, world)[1], one_watched(aws, world, revoke=True)[1]


def _calls(number: str, what: str, runs: Sequence[list[Record]], goal: float | None) -> Figure:
    counts = [len(calls) for calls in runs]
    return Figure(
        number,
        what,
        max(counts),
        goal,
        shown=str(max(counts)),
        repetitions=len(runs),
        beside=", ".join(call.action for call in runs[-1]),
    )


def _chain(number: str, what: str, runs: Sequence[list[Record]], goal: float | None) -> Figure:
    chains = [longest_chain(calls) for calls in runs]
    value = statistics.median(chains)
    return Figure(number, what, value, goal, shown=f"{value:g}", repetitions=len(runs))


# --- P2, P3, P11: time beside scripts --------------------------------------------------------


def time_of_a_grant(aws: Control, size: Size) -> list[Line]:
    """Time and CPU over a tuned script that makes the very same calls."""
    world, clients = make(aws), Clients()
    one_watched(aws, world)
    with latency(aws, max(size.usual, 5)):
        # With some latency, so that what is in flight together is seen to be.
        giving = Replay.of(clients, world, *one_watched(aws, world))
        taking = Replay.of(clients, world, *one_watched(aws, world, revoke=True))
    lines: list[Line] = []
    for ms in size.latencies:
        lines += _beside_replay(aws, world, giving, taking, size, ms)
    lines += _cpu(aws, world, giving, size)
    giving.close()
    taking.close()
    return lines


def _beside_replay(
    aws: Control, world: World, giving: Replay, taking: Replay, size: Size, ms: float
) -> list[Line]:
    ours, theirs = world.grants(size.pairs), world.grants(size.pairs)
    with latency(aws, ms):
        given = in_turn(provision, giving.run, ours, theirs)
        world.check(ours, exist=True)
        for grant in ours:
            world.revoke(grant)
        taken = in_turn(provision, taking.run, ours, theirs)
    world.check(ours, exist=False)
    goal = 1.05 if ms == size.usual and ms else None
    what = "over a tuned script with the same calls"
    return [
        ratio("P2", f"time of a grant {what}, {ms:g} ms a call", given, goal),
        ratio("P2", f"time of a revocation {what}, {ms:g} ms a call", taken, goal),
    ]


def _cpu(aws: Control, world: World, giving: Replay, size: Size) -> list[Line]:
    ours, theirs = world.grants(size.pairs), world.grants(size.pairs)
    used = in_turn(provision, giving.run, ours, theirs, time.process_time)
    return [ratio("P11", "CPU of a grant over the same script, 0 ms a call", used, goal=2)]


def other_scripts(aws: Control, size: Size) -> list[Line]:
    """How many times faster than scripts that do less: no look, no read-back, no end."""
    world, clients = make(aws), Clients()
    tuned = Tuned(clients, world)
    one_watched(aws, world)
    (warm,) = world.grants(1)
    tuned.provision(warm)
    lines: list[Line] = []
    with latency(aws, size.usual):
        beside_tuned = in_turn(
            provision, tuned.provision, world.grants(size.pairs), world.grants(size.pairs)
        )
        beside_naive = in_turn(
            provision,
            lambda grant: naive(world, grant),
            world.grants(size.pairs),
            world.grants(size.pairs),
        )
    tuned.close()
    at = f"{size.usual:g} ms a call"
    lines.append(
        ratio(
            "P3", f"time over a tuned script with three calls and no look, {at}", beside_tuned, None
        )
    )
    lines.append(faster("P3", f"times faster than a naive boto3 script, {at}", beside_naive, 2))
    return lines


# --- P6: many at once ------------------------------------------------------------------------


def grants_in_parallel(aws: Control, size: Size) -> list[Line]:
    """Throughput of eight threads of one process over that of one."""
    world = make(aws)
    one_watched(aws, world)
    alone: list[float] = []
    together: list[float] = []
    with latency(aws, size.usual):
        for _ in range(max(1, min(size.pairs // 3, 5))):
            few, many = world.grants(max(1, size.batch // 4)), world.grants(size.batch)
            alone.append(in_parallel(converge, [one.pk for one in few], 1) / len(few))
            together.append(in_parallel(converge, [one.pk for one in many], 8) / len(many))
            world.check([*few, *many], exist=True)
    pairs = Pairs(together, alone)
    what = f"throughput of 8 threads over 1, {size.usual:g} ms a call, no limit of calls"
    return [faster("P6", what, pairs, 4)]


# --- P13: memory -----------------------------------------------------------------------------


def memory(aws: Control, size: Size) -> list[Line]:
    """Memory of a process after many grants over that after the first few."""
    world = make(aws)
    warm = max(2, min(30, size.memory // 4))
    _come_and_go(world, warm)
    before = resident()
    _come_and_go(world, size.memory)
    after = resident()
    return [
        Figure(
            "P13",
            f"memory after {size.memory} grants over that after {warm}",
            after / before,
            1.1,
            beside=f"{after / 1e6:.0f} MB against {before / 1e6:.0f} MB",
        )
    ]


def _come_and_go(world: World, number: int) -> None:
    for grant in world.grants(number):
        converge(grant.pk)
        world.revoke(grant)
        converge(grant.pk)


def resident() -> int:
    """Bytes of memory that this process holds now."""
    return int(RESIDENT.read_text().split()[1]) * PAGE_BYTES
