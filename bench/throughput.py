"""Grants a second through the broker with more and more workers, beside bare messages."""

import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import noop
from bench.dispatch import Bare, wait_until, worker_environment
from bench.figures import Figure, Line
from bench.measures import Size, one_watched
from bench.server import Control
from bench.world import World, latency, make
from provisioning import tasks
from provisioning.models import Grant
from sandbox import servers
from sandbox.processes import Child, Supervisor, log_shows

PATIENCE = 30.0  # seconds for a batch, beside one for each message


def grants_a_second(aws: Control, size: Size) -> list[Line]:
    """What a worker's processes get done together where each call takes its time."""
    world = make(aws)
    one_watched(aws, world)
    rates = {number: _rates(world, number, size) for number in size.workers}
    alone = rates[size.workers[0]]
    lines: list[Line] = []
    for number, (grants, noops) in rates.items():
        at = f"{number} processes" if number > 1 else "1 process"
        lines.append(
            Figure(
                "P6",
                f"grants a second over the broker, {at} over 1, {size.usual:g} ms a call",
                grants / alone[0],
                repetitions=size.rounds,
                beside=f"{grants:.1f} against {alone[0]:.1f} a second; "
                f"messages that do nothing: {noops:.0f} against {alone[1]:.0f} a second",
            )
        )
    return lines


def _rates(world: World, processes: int, size: Size) -> tuple[float, float]:
    """Grants and bare messages a second, in turn, with as many processes for each."""
    with (
        TemporaryDirectory(prefix="sallyport-bench-") as folder,
        _workers(Path(folder), processes) as bare,
        latency(world.aws, size.usual),
    ):
        # Each process loads botocore's models with its first grant.
        _grants(world, 4 * processes)
        _noops(bare, 4 * processes)
        pairs = [
            (_grants(world, size.batch), _noops(bare, 10 * size.batch)) for _ in range(size.rounds)
        ]
    grants, noops = zip(*pairs, strict=True)
    return statistics.median(grants), statistics.median(noops)


def _grants(world: World, number: int) -> float:
    grants = world.grants(number)
    keys = [one.pk for one in grants]

    def send() -> None:
        for key in keys:
            tasks.nudge(tasks.converge_grant, key)

    rate = _rate(number, send, lambda: not _left(keys))
    world.check(grants, exist=True)
    return rate


def _left(keys: Sequence[int]) -> bool:
    return Grant.objects.filter(pk__in=keys).exclude(phase="active").exists()


def _noops(bare: Bare, number: int) -> float:
    def send() -> None:
        for _ in range(number):
            bare.send()

    return _rate(number, send, bare.has_begun_all)


def _rate(number: int, send: Callable[[], None], done: Callable[[], bool]) -> float:
    began = time.monotonic()
    send()
    wait_until(done, f"{number} messages were not worked on.", PATIENCE + number)
    return number / (time.monotonic() - began)


@contextmanager
def _workers(folder: Path, processes: int) -> Iterator[Bare]:
    env = worker_environment() | {noop.TIMES: str(folder / "times")}
    supervisor = Supervisor()
    try:
        supervisor.start(
            _worker("worker", "portal", processes, folder, env),
            _worker("bare worker", "bench.noop", processes, folder, env),
        )
        supervisor.wait_ready(timeout=60)
        yield Bare(folder / "times")
    finally:
        supervisor.stop()


def _worker(name: str, app: str, processes: int, folder: Path, env: dict[str, str]) -> Child:
    log = folder / f"{name}.log"
    flags = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "INFO"]
    argv = [sys.executable, "-m", "celery", "-A", app, "worker", "--concurrency", str(processes)]
    ready = log_shows(log, " ready.")
    return Child(
        name=name, argv=[*argv, *flags], log=log, env=env, cwd=servers.BASE_DIR, ready=ready
    )
