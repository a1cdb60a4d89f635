"""From a person's click through broker and worker to AWS, beside a bare Celery message."""

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from django.db import connection

from bench import noop
from bench.baselines import Clients, Replay
from bench.figures import Figure, Line, Pairs, in_turn, ratio
from bench.measures import Size, one_watched
from bench.server import Control
from bench.world import NotAsWanted, Shown, World, latency, make
from provisioning import services
from provisioning.models import Grant
from sandbox import servers
from sandbox.processes import Child, Supervisor, log_shows

PATIENCE = 20.0  # seconds
LOOK_EVERY = 0.002  # seconds; each look is a query
LOCK_OUT_ALLOWANCE = 0.05  # seconds beside two round trips (P5)
GOALS: dict[float, float] = {40: 1.10, 120: 1.05}
"""Of P12, by the milliseconds of a call."""


def through_the_broker(aws: Control, size: Size) -> list[Line]:
    """All measures with a real worker, which has nothing else to do."""
    with TemporaryDirectory(prefix="sallyport-bench-") as folder, _workers(Path(folder)) as bare:
        scene = _Scene(make(aws), bare)
        scene.warm_up(size)
        lines = scene.first_call(size)
        for ms in size.latencies:
            lines += scene.until_active(size, ms)
        return lines + scene.lock_out(size)


@contextmanager
def _workers(folder: Path) -> Iterator["Bare"]:
    """The product's worker, and one with the same options for a task that does nothing."""
    env = worker_environment() | {noop.TIMES: str(folder / "times")}
    supervisor = Supervisor()
    try:
        supervisor.start(
            servers.worker(log=folder / "worker.log", env=env),
            _noop_worker(folder / "noop.log", env),
        )
        supervisor.wait_ready(timeout=60)
        yield Bare(folder / "times")
    finally:
        supervisor.stop()


def worker_environment() -> dict[str, str]:
    """This process's own, with the database that Django really uses: a test has one of its own."""
    database = connection.settings_dict
    address = f"{database['HOST']}:{database['PORT']}/{database['NAME']}"
    return dict(os.environ) | {"DATABASE_URL": f"postgres://{database['USER']}@{address}"}


def _noop_worker(log: Path, env: dict[str, str]) -> Child:
    flags = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "INFO"]
    argv = [sys.executable, "-m", "celery", "-A", "bench.noop", "worker", *servers.OF_THREADS]
    ready = log_shows(log, " ready.")
    return Child(
        name="bare worker",
        argv=[*argv, *flags],
        log=log,
        env=env,
        cwd=servers.BASE_DIR,
        ready=ready,
    )


@dataclass
class Bare:
    """Messages to the worker that does nothing."""

    times: Path
    sent: int = 0

    def message(self) -> float:
        """Seconds from sending one to its beginning in the worker."""
        self.send()
        wait_until(self.has_begun_all, "The bare worker did nothing.")
        sent, begun = noop.PAIR.unpack(self.times.read_bytes()[-noop.PAIR.size :])
        return float(begun - sent)

    def send(self) -> None:
        """One more message."""
        noop.noop.delay(time.monotonic())
        self.sent += 1

    def has_begun_all(self) -> bool:
        """Whether each message that was sent has begun."""
        size = self.times.stat().st_size if self.times.exists() else 0
        return size >= self.sent * noop.PAIR.size


def wait_until(done: Callable[[], bool], otherwise: str, patience: float = PATIENCE) -> None:
    """Look again and again. Raises NotAsWanted when it takes longer than `patience` seconds."""
    deadline = time.monotonic() + patience
    while not done():
        if time.monotonic() > deadline:
            raise NotAsWanted(otherwise)
        time.sleep(LOOK_EVERY)


@dataclass
class _Scene:
    world: World
    bare: Bare

    @property
    def aws(self) -> Control:
        return self.world.aws

    def warm_up(self, size: Size) -> None:
        """Both processes of each worker have done their work some times."""
        for _ in range(size.warm_up):
            self.bare.message()
            self.revoked(self.approved())

    def approved(self) -> Grant:
        """A new access: approved by a click, and active."""
        (shown,) = self.world.shown(1)
        return self._approve(shown)

    def _approve(self, shown: Shown) -> Grant:
        grant = self.world.approve(shown)
        self._settled(grant, "active")
        return grant

    def revoked(self, grant: Grant) -> None:
        """The access, revoked by a click, and ended."""
        services.revoke(person=self.world.approver, grant=grant, reason="bench")
        self._settled(grant, "ended")

    def _settled(self, grant: Grant, phase: str) -> None:
        # A bare statement: Django's would take the processor from who is measured.
        look = f"SELECT phase FROM {Grant._meta.db_table} WHERE id = %s"  # noqa: S608  # A constant.

        def reached() -> bool:
            with connection.cursor() as cursor:
                cursor.execute(look, [grant.pk])
                return bool(cursor.fetchone() == (phase,))

        wait_until(reached, f"{grant} did not become {phase}")

    # --- P4 ---

    def first_call(self, size: Size) -> list[Line]:
        """From the approver's click to the first call that reaches AWS, and its two halves."""
        clicks: list[tuple[float, float]] = []
        bare: list[float] = []
        for _ in range(size.messages):
            bare.append(self.bare.message())
            clicks.append(self._until_first_call())
        over = "over a bare Celery message, idle worker"
        return [
            ratio(
                "P4",
                f"approve to the first call to AWS {over}",
                Pairs([sum(one) for one in clicks], bare),
                3,
            ),
            ratio(
                "P4",
                "… of which the click, until it is answered",
                Pairs([one[0] for one in clicks], bare),
                None,
            ),
        ]

    def _until_first_call(self) -> tuple[float, float]:
        """Seconds of the click itself, and from its answer to the first call."""
        (shown,) = self.world.shown(1)
        self.aws.clear()
        clicked = time.monotonic()
        grant = self.world.approve(shown)
        answered = time.monotonic()
        self._settled(grant, "active")
        return answered - clicked, self.aws.calls()[0].began - answered

    # --- P12 ---

    def until_active(self, size: Size, ms: float) -> list[Line]:
        """From the click to an active grant, beside a tuned script with the same calls."""
        with latency(self.aws, max(ms, 5)):
            replay = Replay.of(Clients(), self.world, *one_watched(self.aws, self.world))
        shown, grants = self.world.shown(size.messages), self.world.grants(size.messages)
        with latency(self.aws, ms):
            pairs = in_turn(self._approve, replay.run, shown, grants)
        replay.close()
        goal = GOALS.get(ms)
        what = f"approve to active over a tuned script with the same calls, {ms:g} ms a call"
        return [ratio("P12", what, pairs, goal)]

    # --- P5 ---

    def lock_out(self, size: Size) -> list[Line]:
        """From the click on Revoke to AWS's answer to the call that locks the person out."""
        taken = [self._until_locked_out(size) for _ in range(size.messages)]
        least = 2 * size.usual / 1000
        value = statistics.median(taken)
        return [
            Figure(
                "P5",
                f"revoke to locked out, {size.usual:g} ms a call: ms over two round trips",
                (value - least) * 1000,
                LOCK_OUT_ALLOWANCE * 1000,
                shown=f"{(value - least) * 1000:.1f} ms",
                repetitions=len(taken),
                beside=f"{value * 1000:.1f} ms",
            )
        ]

    def _until_locked_out(self, size: Size) -> float:
        grant = self.approved()
        self.aws.clear()
        with latency(self.aws, size.usual):
            clicked = time.monotonic()
            self.revoked(grant)
        locks = [call for call in self.aws.calls() if call.action == "PutRolePolicy"]
        return locks[0].ended - clicked
