"""A pytest plugin: the servers that tests talk to, started once per run.

Loaded with `-p tests.services`, because Django's settings are read from the environment before
any conftest is. At import it picks the ports and sets the environment; a server starts when the
collected tests need it: PostgreSQL for tests with a database, the broker and the AWS server for
tests that ask for `broker_url` and `aws_endpoint`. Nothing is left running, even after
`kill -9`.

With pytest-xdist each of its processes loads this plugin and has servers of its own, so that tests
which reset AWS or empty the broker never meet.

DATABASE_URL in the environment is used as it is, for example to run on another database.
"""

import contextlib
import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox import servers
from sandbox.processes import Child, Supervisor, free_port, log_shows

START_TIMEOUT = 60.0  # seconds
_PREFIX = "sallyport-tests-"
_BASE = Path("/tmp")  # noqa: S108  # An account without rights must be able to enter it.
_FORGETFUL = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
}
"""The data is thrown away, so nothing has to survive a power cut."""
_OWN_DATABASE = "SALLYPORT_TESTS_OWN_DATABASE"
"""Tells a process of pytest-xdist that the DATABASE_URL it inherits is ours and no developer's."""


class Services:
    """The servers of this test run. A server starts when it is first asked for.

    A `durable` database writes as one in production does, which costs each commit some time.
    """

    def __init__(self, *, durable: bool = False) -> None:
        self.durable = durable
        self.ports = {name: free_port() for name in ("database", "broker", "aws")}
        self.own_database = "DATABASE_URL" not in os.environ or _OWN_DATABASE in os.environ
        self.started: dict[str, Child] = {}
        self.supervisor = Supervisor()
        self._folder: Path | None = None

    def environment(self) -> dict[str, str]:
        """What Django's settings and botocore are to find."""
        local = servers.local_environment(
            os.environ, aws_port=self.ports["aws"], broker_port=self.ports["broker"]
        )
        own = {
            "DATABASE_URL": f"postgres://sallyport@127.0.0.1:{self.ports['database']}/sallyport",
            _OWN_DATABASE: "yes",
        }
        given = {"DATABASE_URL": os.environ.get("DATABASE_URL", "")}
        return local | {
            **(own if self.own_database else given),
            "SECRET_KEY": "a key for tests, which protects nothing",
            "DJANGO_SETTINGS_MODULE": "portal.settings",
        }

    def need(self, *names: str) -> None:
        """Start these servers, unless they run already, and wait until they answer."""
        makers: dict[str, Callable[[], Child]] = {
            "database": self._database,
            "broker": self._broker,
            "aws": self._aws,
        }
        new = [name for name in names if name not in self.started]
        if new:
            self.started.update({name: makers[name]() for name in new})
            self.supervisor.start(*(self.started[name] for name in new))
            self.supervisor.wait_ready(timeout=START_TIMEOUT)

    def restart_database(self) -> None:
        """Stop PostgreSQL at once, whoever is connected, and start it again on the same data."""
        database = self.started["database"]
        database.ask_to_stop()
        database.wait_until(time.monotonic() + START_TIMEOUT)
        database.spawn()
        self.supervisor.wait_ready(timeout=START_TIMEOUT)

    def stop(self) -> None:
        """Stop what was started and remove its files."""
        self.supervisor.stop()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def folder(self) -> Path:
        """A folder for this run, locked as long as this process lives."""
        if self._folder is None:
            _remove_left_overs()
            self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_BASE))
            self._folder.chmod(0o711)
            _try_lock(self._folder)
        return self._folder

    def _broker(self) -> Child:
        folder = self.folder / "broker"
        return servers.broker(self.ports["broker"], folder=folder, log=self.folder / "broker.log")

    def _aws(self) -> Child:
        log = self.folder / "aws.log"
        env = dict(os.environ)
        return servers.aws(self.ports["aws"], state=None, log=log, env=env, signals=True)

    def _database(self) -> Child:
        binaries, user = postgresql_binaries(), _database_user()
        data = self.folder / "database"
        data.mkdir()
        if user:
            shutil.chown(data, user=user)
        _initdb(binaries, data, user)
        log = self.folder / "database.log"
        settings = {
            "port": str(self.ports["database"]),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(data),
            "timezone": "UTC",
        } | ({} if self.durable else _FORGETFUL)
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return Child(
            name="PostgreSQL",
            argv=[str(binaries / "postgres"), "-D", str(data), *flags],
            log=log,
            cwd=_BASE,
            ready=log_shows(log, "ready to accept connections"),
            # SIGTERM would wait for connections to be closed; this one stops at once.
            stop_signal=signal.SIGQUIT,
            user=user,
        )


def postgresql_binaries() -> Path:
    """The folder of PostgreSQL's newest server binaries; ends the run when there are none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_version)
    on_path = shutil.which("initdb")
    if not found and not on_path:
        pytest.exit(
            "Tests with a database need PostgreSQL's server binaries (initdb, postgres).\n"
            "As root: apt-get install postgresql. It need not be running.",
            returncode=1,
        )
    return found[-1].parent if found else Path(str(on_path)).resolve().parent


def _version(initdb: Path) -> float:
    return float(initdb.parent.parent.name)


def _database_user() -> str | None:
    """Whom to run PostgreSQL as: it refuses root."""
    if os.geteuid() != 0:
        return None
    names = {account.pw_name for account in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _initdb(binaries: Path, data: Path, user: str | None) -> None:
    account = pwd.getpwnam(user) if user else None
    whom: dict[str, Any] = (
        {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}
    )
    options = ["-A", "trust", "-N", "-U", "sallyport", "-E", "UTF8", "--locale=C.UTF-8"]
    done = subprocess.run(  # noqa: S603
        [str(binaries / "initdb"), *options, "-D", str(data)],
        cwd=_BASE,
        capture_output=True,
        text=True,
        check=False,
        **whom,
    )
    if done.returncode:
        pytest.exit(f"initdb failed:\n{done.stdout}{done.stderr}", returncode=1)


def _remove_left_overs() -> None:
    """Remove the folders of runs that were killed: those that nobody holds the lock of."""
    for folder in _BASE.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if folder.owner() == pwd.getpwuid(os.geteuid()).pw_name:
                lock = _try_lock(folder)
                if lock is not None:
                    shutil.rmtree(folder, ignore_errors=True)
                    os.close(lock)


def _try_lock(folder: Path) -> int | None:
    """Lock this folder until the process ends; None when somebody else holds the lock."""
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


# --- The plugin ------------------------------------------------------------------------------

_services = Services()
_environment = _services.environment()
os.environ.clear()
os.environ.update(_environment)

_FIXTURES = {"aws_endpoint": "aws", "broker_url": "broker", "django_db_setup": "database"}


def _server_of(fixture: str) -> str | None:
    name = _FIXTURES.get(fixture)
    return None if name == "database" and not _services.own_database else name


def pytest_collection_finish(session: pytest.Session) -> None:
    """Start together what the collected tests will need."""
    if session.config.option.collectonly:
        return
    # Measured are the processes that run tests. The servers and commands that tests start would
    # only be slower for it, and pytest-xdist has started its processes by now.
    os.environ.pop("COVERAGE_PROCESS_START", None)
    fixtures = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    if any(item.get_closest_marker("django_db") for item in session.items):
        fixtures.add("django_db_setup")
    _services.need(*filter(None, map(_server_of, sorted(fixtures))))


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> None:
    """Start what a test asks for only while it runs."""
    server = _server_of(fixturedef.argname)
    if server:
        _services.need(server)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """Stop everything, also after Ctrl-C."""
    _services.stop()


@pytest.fixture(scope="session")
def aws_endpoint() -> str:
    """The address of the server that stands for AWS; it runs, empty at the start of the run."""
    return os.environ["AWS_ENDPOINT_URL"]


@pytest.fixture(scope="session")
def broker_url() -> str:
    """The address of a running Redis-compatible server."""
    return os.environ["BROKER_URL"]
