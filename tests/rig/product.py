"""The whole product in its own processes, on the rig's world: started once, mended between runs.

Web, two workers, two sweepers and a broker, as docker-compose.yml has them, with the sweepers'
pause shortened. They are killed, stopped and starved as a run wishes; `mend` makes them whole.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import redis
from django.conf import settings
from django.db import connection, connections

from accounts.models import ConnectionCheck, Offer, User
from provisioning.engine import onboard
from sandbox import servers
from sandbox.processes import Child, free_port
from tests.factories import UserFactory
from tests.rig.hands import STRANGER
from tests.rig.rules import ruled_offer, strict_offer
from tests.rig.stand import SOURCE, Rig, administrator, link, made
from tests.rig.web import Browser
from tests.services import Services

PAUSE: Final = 0.5
"""Seconds between two rounds of a sweeper. A usual installation has 5."""
STARTED_WITHIN: Final = 90.0  # seconds, on a busy machine
LOOK: Final = 0.04
CALLS_PER_SECOND: Final = "200"
"""The stand-in is not to be the slow part of a run."""
WORKERS: Final = ("worker-1", "worker-2")
OF_PROCESSES: Final = "worker-2"
"""It works in processes of its own, which can die alone. The other one has threads, as usual."""
SWEEPERS: Final = ("sweeper-1", "sweeper-2")
PROCESSES: Final = ("web", *WORKERS, *SWEEPERS)


@dataclass
class Product:
    """The world, and all processes of the product on it."""

    rig: Rig
    services: Services
    logs: Path
    erin: User
    """A second person who asks, so that two share a switch group."""
    strict: Offer
    """Beside the cast's offer, which bob alone decides on: one for which each run has its own
    stages, and that members of a group may take in an emergency."""
    ruled: Offer
    """One that a rule decides on where little is asked for."""
    port: int = field(default_factory=free_port)
    broker_port: int = field(default_factory=free_port)
    pause: float = PAUSE
    children: dict[str, Child] = field(default_factory=dict)
    _disturbed: bool = False

    def __post_init__(self) -> None:
        self.children = {name: self._child(name) for name in ("broker", *PROCESSES)}

    @property
    def address(self) -> str:
        """Of the web process."""
        return f"127.0.0.1:{self.port}"

    def browser(self, username: str) -> Browser:
        """Somebody's browser, not signed in yet."""
        return Browser("127.0.0.1", self.port, username)

    # --- Starting ----------------------------------------------------------------------------

    def _environment(self, *, aws: bool) -> dict[str, str]:
        database = connection.settings_dict
        name = f"{database['USER']}@127.0.0.1:{database['PORT']}/{database['NAME']}"
        own = {
            "DATABASE_URL": f"postgres://{name}",
            "BROKER_URL": self.broker_url,
            "SALLYPORT_VAR": str(settings.VAR_DIR),
            "SALLYPORT_BASE_URL": f"http://{self.address}",
            "SALLYPORT_CALLS_PER_SECOND": CALLS_PER_SECOND,
        }
        return dict(os.environ) | own | (self.rig.portal if aws else {"AWS_ACCESS_KEY_ID": "none"})

    @property
    def broker_url(self) -> str:
        """Where messages go."""
        return f"redis://127.0.0.1:{self.broker_port}/0"

    def _child(self, name: str) -> Child:
        log = self.logs / f"{name}.log"
        if name == "broker":
            folder = self.services.folder / f"broker-{self.broker_port}"
            return servers.broker(self.broker_port, folder=folder, log=log)
        if name == "web":
            return servers.web(self.port, log=log, env=self._environment(aws=False))
        env = self._environment(aws=True)
        if name in WORKERS:
            # One of threads, as in production, and one whose children can be killed by themselves.
            pools = dict(zip(WORKERS, (servers.OF_THREADS, servers.OF_PROCESSES), strict=True))
            return servers.worker(log=log, env=env, pool=pools[name])
        env["SALLYPORT_HEARTBEAT"] = str(heart := self.logs / f"{name}.heartbeat")
        child = servers.sweeper(log=log, env=env)
        child.argv = [*child.argv[:-1], str(self.pause)]
        child.ready = heart.exists
        return child

    def start(self, *names: str) -> None:
        """Start these, and wait until they work."""
        self.spawn(*names)
        self.wait(*names)

    def spawn(self, *names: str) -> None:
        """Start these."""
        for name in names:
            child = self.children[name]
            with suppress(FileNotFoundError):
                # What the one before had to say.
                child.log.replace(child.log.with_suffix(".before.log"))
            (self.logs / f"{name}.heartbeat").unlink(missing_ok=True)
            child.spawn()

    def wait(self, *names: str) -> None:
        """Until these are ready."""
        for name in names:
            child = self.children[name]
            wait_until(lambda: child.ready is None or child.ready(), STARTED_WITHIN, name)  # noqa: B023  # Asked at once.

    # --- Going wrong -------------------------------------------------------------------------

    def kill(self, name: str, *, alone: bool = False) -> None:
        """kill -9 of a program and all it has started, or of the one process `alone`."""
        child = self.children[name]
        if not child.running:
            return
        if alone:
            child.process.kill()  # type: ignore[union-attr]  # It runs.
        else:
            child.kill()
        child.wait_until(time.monotonic() + STARTED_WITHIN)

    def kill_child(self, name: str, nth: int) -> None:
        """kill -9 of one of the processes in which a worker works."""
        found = self.children_of(name)
        if found:
            _signal(found[nth % len(found)], signal.SIGKILL)

    def children_of(self, name: str) -> list[int]:
        """The processes that a program has started."""
        child = self.children[name]
        if not child.running:
            return []
        with suppress(FileNotFoundError):
            text = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text()
            return [int(one) for one in text.split()]
        return []

    def freeze(self, name: str) -> None:
        """Stop a program and all it has started, until `thaw`."""
        self._to_all(name, signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Let it go on."""
        self._to_all(name, signal.SIGCONT)

    def _to_all(self, name: str, number: signal.Signals) -> None:
        if self.children[name].process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.children[name].pid, number)

    def broker(self) -> "redis.Redis":
        """A client of the broker."""
        return redis.Redis.from_url(self.broker_url, socket_timeout=5)

    def restart_database(self) -> None:
        """PostgreSQL stops at once, whoever is connected, and comes back."""
        connections.close_all()
        self.services.restart_database()

    # --- Putting right -----------------------------------------------------------------------

    def mend(self) -> None:
        """Every fault stops, and every process runs."""
        self.rig.mend()
        for name in self.children:
            self.thaw(name)
        dead = [name for name, child in self.children.items() if not child.running]
        for name in dead:
            # What a program that was killed alone has left behind.
            self.children[name].kill()
        if "broker" in dead:
            self.start("broker")
        with self.broker() as broker:
            broker.config_set("maxmemory", "0")
        self.start(*(name for name in dead if name != "broker"))

    def stop(self) -> None:
        """End everything."""
        for name, child in self.children.items():
            self.thaw(name)
            child.kill()
        for child in self.children.values():
            child.wait_until(time.monotonic() + STARTED_WITHIN)


def wait_until(done: Callable[[], bool], seconds: float, what: str) -> None:
    """Look again and again. Raises AssertionError when it takes too long."""
    assert happens(done, seconds), f"{what}: not within {seconds:g} s"


def happens(done: Callable[[], bool], seconds: float) -> bool:
    """Whether it is so within this time."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK)
    return True


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


# --- Making it -------------------------------------------------------------------------------


@contextmanager
def running(services: Services, logs: Path) -> Iterator[Product]:
    """The product on a new world, while the block lasts."""
    with made(services.environment()["AWS_ENDPOINT_URL"]) as rig:
        _keep_commits()
        erin = _second_person(rig)
        offers = strict_offer(rig.cast), ruled_offer(rig.cast)
        product = Product(rig, services, logs, erin, *offers)
        try:
            product.start("broker", *PROCESSES)
            yield product
        finally:
            product.stop()


def _keep_commits() -> None:
    """What was committed is there after a crash, unlike in other tests, where that is too slow."""
    name = connection.settings_dict["NAME"]
    with connection.cursor() as cursor:
        cursor.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = on')
    connections.close_all()


def _second_person(rig: Rig) -> User:
    erin = UserFactory.create(username="erin")
    for name in ("userE", STRANGER):
        administrator(SOURCE).create_user(UserName=name)
    link(erin, rig.cast.pair.source, "userE")
    for name in ("userA", "userE"):
        _give_mfa(name)
    for account in (rig.cast.pair.source, rig.cast.pair.target):
        check = ConnectionCheck.objects.create(account=account, asked_by="dana")
        onboard.run_check(check.pk)
    rig.cast.offer.eligible_users.add(erin)
    rig.base = rig.control("dump")
    return erin


def _give_mfa(user: str) -> None:
    """A device, without which a look at both accounts has something to say, and no rule decides."""
    iam = administrator(SOURCE)
    device = iam.create_virtual_mfa_device(VirtualMFADeviceName=user)["VirtualMFADevice"]
    codes = {"AuthenticationCode1": "123456", "AuthenticationCode2": "654321"}
    iam.enable_mfa_device(UserName=user, SerialNumber=device["SerialNumber"], **codes)
