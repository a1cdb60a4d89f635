"""`manage.py demo`: all of Sallyport on this machine, with nothing to install beside it."""

import argparse
import fcntl
import os
import shutil
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any, Never

from celery import current_app
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, connections
from django.db.migrations.executor import MigrationExecutor

from sandbox import servers, world
from sandbox.people import PASSWORD, PEOPLE
from sandbox.processes import ChildFailed, Interrupted, Supervisor, free_port, listen, port_of

AWS_STATE = "aws.json"
FIRST_PORT = 8000
PORTS_TRIED = 20
START_TIMEOUT = 60.0  # seconds; a start takes about three on an idle machine
LEFT_OVER_TIMEOUT = 15.0  # seconds for the children of a killed run to end by themselves
STOP_GRACE = 1.3  # seconds; an idle Celery worker takes up to three, and loses nothing if killed
WATCH_INTERVAL = 0.2  # seconds between two looks at the children


class Command(BaseCommand):
    """Starts the stand-ins and all processes of Sallyport, and stops them all on Ctrl-C."""

    help = "Run Sallyport on this machine against a local stand-in for AWS."
    requires_system_checks = ()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--port", type=int, help="port of the web page; 8000 or the next free")
        parser.add_argument("--reset", action="store_true", help="begin with an empty sandbox")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until Ctrl-C or SIGTERM (exit status 0) or until something fails (1)."""
        self.began = _began()
        self.var: Path = settings.VAR_DIR
        self.stopping = threading.Event()
        self.refuse_foreign_database()
        # The sandbox's files hold keys and password hashes, made-up ones but nobody else's.
        os.umask(0o077)
        self.var.mkdir(parents=True, exist_ok=True)
        lock = self.take_lock()
        self.wait_for_left_overs()
        page = self.take_port(options["port"])
        if options["reset"]:
            self.reset()
        _write(lock, f"http://127.0.0.1:{port_of(page)}/ (process {os.getpid()})")
        self.run(page)

    # --- Before anything is started ----------------------------------------------------------

    def refuse_foreign_database(self) -> None:
        """The sandbox fills its database with people whose password is public."""
        database = settings.DATABASES["default"]
        if connection.vendor == "sqlite" and Path(database["NAME"]).parent == settings.VAR_DIR:
            return
        self.fail("The sandbox uses a database of its own. Unset DATABASE_URL and start again.")

    def take_lock(self) -> int:
        """Hold var/demo.lock until this process ends; the kernel lets go of it then."""
        lock = os.open(self.var / "demo.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            where = os.read(lock, 200).decode() or "just starting"
            self.fail(f"The sandbox of this folder is already running: {where}")
        _write(lock, "")
        return lock

    def wait_for_left_overs(self) -> None:
        """Wait for the children of a run that was killed.

        Every child inherits this lock, so it is free only when the last of them is gone.
        """
        self.children_lock = os.open(self.var / "children.lock", os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + LEFT_OVER_TIMEOUT
        told = False
        while True:
            try:
                return fcntl.flock(self.children_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    self.fail("Processes of an earlier run are still there; end them first.")
            if not told:
                self.say("Waiting for the processes of a run that was killed.")
                told = True
            time.sleep(0.05)

    def reset(self) -> None:
        """Forget everything but the secret key, which this process has already read."""
        self.say("Emptying the sandbox.")
        for pattern in ("sallyport.sqlite3*", AWS_STATE, world.PORTAL_KEY, world.USER_KEYS):
            for path in self.var.glob(pattern):
                path.unlink()
        for name in ("broker", "console", "log", "mail"):
            shutil.rmtree(self.var / name, ignore_errors=True)

    def take_port(self, asked: int | None) -> socket.socket:
        """Listen on the port that was asked for, or on the first free one from 8000 on."""
        if asked is not None:
            page = listen(asked)
            if page is None:
                self.fail(f"Port {asked} is taken. Name another, or none to have one chosen.")
            return page
        ports = range(FIRST_PORT, FIRST_PORT + PORTS_TRIED)
        page = next(filter(None, map(listen, ports)), None)
        if page is None:
            self.fail(f"Ports {ports[0]} to {ports[-1]} are taken. Name one: make demo PORT=9000")
        if port_of(page) != FIRST_PORT:
            self.say(f"Port {FIRST_PORT} is taken; using {port_of(page)}.")
        return page

    # --- From start to stop ------------------------------------------------------------------

    def run(self, page: socket.socket) -> None:
        """Start everything, say where it is, wait, stop everything."""
        self.supervisor = Supervisor(
            interrupted=self.stopping.is_set, inherit=(self.children_lock,)
        )
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, self.on_signal)
        try:
            self.start(page)
            self.announce(port_of(page))
            self.watch()
        except Interrupted:
            self.say("\nStopping.")
        except (ChildFailed, CommandError) as failure:
            self.stderr.write(f"{failure}\nStopping the rest.")
            sys.exit(1)
        finally:
            self.supervisor.stop(grace=STOP_GRACE)

    def on_signal(self, signum: int, frame: FrameType | None) -> None:
        """The first signal asks for an orderly stop, the second ends everything at once."""
        if self.stopping.is_set():
            self.supervisor.kill()
            os._exit(1)
        self.stopping.set()

    def start(self, page: socket.socket) -> None:
        """Bring up the stand-ins, the data, and then Sallyport itself."""
        log = self.var / "log"
        broker_port, aws_port = free_port(), free_port()
        env = self.environment(port_of(page), aws_port=aws_port, broker_port=broker_port)
        broker = servers.broker(broker_port, folder=self.var / "broker", log=log / "broker.log")
        aws = servers.aws(aws_port, state=self.var / AWS_STATE, log=log / "aws.log", env=env)
        self.say("Starting the broker and the server that stands for AWS.")
        self.supervisor.start(broker, aws)
        self.migrate()
        # These three stop together. They start one by one, because each keeps a processor busy
        # for a second and the page is what somebody waits for; web starts while AWS does.
        self.say("Starting web, worker, sweeper and notifier.")
        self.supervisor.start(servers.web(page, log=log / "web.log", env=env))
        self.supervisor.wait_ready(broker, aws, timeout=START_TIMEOUT)
        # The portal's own AWS identity is for those who do its work there; web has none.
        identified = env | self.seed(env)
        self.supervisor.start(servers.worker(log=log / "worker.log", env=identified), join=True)
        self.supervisor.wait_ready(timeout=START_TIMEOUT)
        self.supervisor.start(servers.sweeper(log=log / "sweeper.log", env=identified), join=True)
        self.supervisor.start(servers.notifier(log=log / "notifier.log", env=env), join=True)

    def environment(self, port: int, *, aws_port: int, broker_port: int) -> dict[str, str]:
        """What the children are told. They meet the same files and addresses as this process."""
        return servers.local_environment(os.environ, aws_port=aws_port, broker_port=broker_port) | {
            "DJANGO_SETTINGS_MODULE": "portal.settings",
            "SALLYPORT_VAR": str(self.var),
            "SALLYPORT_BASE_URL": f"http://127.0.0.1:{port}",
        }

    def migrate(self) -> None:
        """Bring the database up to date; a look costs a tenth of what the command would."""
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            self.say("Making the database.")
            call_command("migrate", verbosity=0, interactive=False)

    def seed(self, env: dict[str, str]) -> dict[str, str]:
        """Fill the sandbox through the portal's own services, in this process.

        Returns the portal's own AWS identity, as variables for worker and sweeper.
        The addresses were not known when its settings were read: botocore takes its own from the
        environment, and Celery is told.
        """
        os.environ.clear()
        os.environ.update(env)
        current_app.conf.update(broker_url=env["BROKER_URL"])
        settings.CELERY_BROKER_URL = env["BROKER_URL"]
        call_command("seed_sandbox")
        connections.close_all()
        return world.portal_environment()

    def announce(self, port: int) -> None:
        """Say how long it took, where it is and who can sign in."""
        self.say(f"Ready in {time.time() - self.began:.1f} s.")
        self.say(f"\n  Sallyport is at  http://127.0.0.1:{port}/\n")
        for person in PEOPLE:
            self.say(f"    {person.username:<8} {person.full_name:<16} {person.does}")
        self.say(f"\n  All of them sign in with the password  {PASSWORD}")
        self.say(f"  Their mail is at  http://127.0.0.1:{port}/sandbox/mail/")
        self.say(f"  Ctrl-C stops everything. Logs: {self.var / 'log'}")

    def watch(self) -> Never:
        """Wait until somebody stops this or a child dies."""
        while not self.stopping.wait(WATCH_INTERVAL):
            self.supervisor.check()
        raise Interrupted

    def say(self, text: str) -> None:
        """One line for the person who started this, at once."""
        self.stdout.write(text)
        self.stdout.flush()

    def fail(self, text: str) -> Never:
        """End with a message instead of a traceback."""
        self.stderr.write(text)
        sys.exit(1)


def _began() -> float:
    """When `make demo` was started, if it says so; else now."""
    try:
        return float(os.environ["SALLYPORT_STARTED"])
    except (KeyError, ValueError):
        return time.time()


def _write(lock: int, text: str) -> None:
    os.truncate(lock, 0)
    os.pwrite(lock, text.encode(), 0)
