"""A real Celery worker, broker, database and AWS server, as separate processes."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import redis
from celery import states
from django.core.management import call_command
from django.db import connection

from accounts.models import User
from portal.celery import app as celery_app
from portal.celery import keep_connection
from provisioning import services
from provisioning.models import Grant
from provisioning.tasks import converge_grant
from sandbox import servers
from sandbox.processes import Child, Supervisor, log_shows
from tests.aws_world import Approved, Aws

pytestmark = [pytest.mark.system, pytest.mark.django_db(transaction=True)]
type Running = Callable[[], AbstractContextManager[Child]]
PATIENCE = 60.0  # seconds, on a busy machine
TARGET = "222222222222"


@pytest.fixture(autouse=True)
def empty_broker(broker_url: str) -> Iterator["redis.Redis"]:
    """The broker, without messages of other tests."""
    store = redis.Redis.from_url(broker_url)
    store.flushall()
    yield store
    store.close()


@pytest.fixture
def worker(aws: Aws, tmp_path: Path) -> Running:
    """Runs a worker on this test's database while the block lasts."""

    @contextmanager
    def running() -> Iterator[Child]:
        database = connection.settings_dict
        address = f"127.0.0.1:{database['PORT']}/{database['NAME']}"
        env = dict(os.environ) | {"DATABASE_URL": f"postgres://{database['USER']}@{address}"}
        supervisor = Supervisor()
        try:
            child = servers.worker(log=tmp_path / "worker.log", env=env)
            supervisor.start(child)
            supervisor.wait_ready(timeout=PATIENCE)
            yield child
        finally:
            supervisor.stop()

    return running


def wait_for(grant: Grant, phase: str) -> Grant:
    deadline = time.monotonic() + PATIENCE
    while grant.phase != phase:
        assert time.monotonic() < deadline, (grant.phase, grant.last_error)
        time.sleep(0.1)
        grant.refresh_from_db()
    return grant


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_running_worker_provisions_and_revokes(
    worker: Running, approved: Approved, aws: Aws, dana: User
) -> None:
    with worker():
        grant = wait_for(approved(), "active")
        assert aws.issued_roles(TARGET) == [grant.role_name]

        # A health check is answered; whoever else writes to the broker stops nobody.
        assert celery_app.control.ping(timeout=PATIENCE, limit=1)
        celery_app.control.shutdown()
        services.revoke(person=dana, grant=grant, reason="Wrong account.")
        wait_for(grant, "ended")

    assert aws.issued_roles(TARGET) == []


def test_a_worker_that_starts_after_the_approval_completes_it(
    worker: Running, approved: Approved
) -> None:
    grant = approved()

    with worker():
        wait_for(grant, "active")


def test_a_sweep_completes_what_an_emptied_broker_has_lost(
    worker: Running, approved: Approved, empty_broker: "redis.Redis"
) -> None:
    grant = approved()
    empty_broker.flushall()

    with worker():
        call_command("sweep")
        wait_for(grant, "active")


def test_a_worker_that_is_told_to_stop_ends_what_it_has_begun_and_begins_nothing_more(
    worker: Running, approved: Approved, aws: Aws
) -> None:
    aws.control("faults", [{"kind": "hold-before", "action": "CreateRole"}])
    with worker() as process:
        begun = approved()
        assert aws.control("held?wait=20")

        process.ask_to_stop()
        wait_until(log_shows(process.log, "Warm shutdown"))
        later = approved()
        aws.control("release?do=go")
        process.wait_until(time.monotonic() + PATIENCE)

        assert process.how_it_ended() == "ended with status 0"
    assert wait_for(begun, "active").settled_at is not None
    later.refresh_from_db()
    assert (later.phase, later.generation) == ("pending", 0)


def connected() -> set[int]:
    """PostgreSQL's processes that serve somebody else than this test."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return {pid for (pid,) in cursor.fetchall()}


def test_a_worker_keeps_its_connection_and_gets_over_the_loss_of_it(
    worker: Running, approved: Approved, dana: User
) -> None:
    before = connected()
    with worker():
        grant = wait_for(approved(), "active")
        first = connected() - before
        services.revoke(person=dana, grant=grant, reason="Wrong account.")
        wait_for(grant, "ended")
        # Whoever finished both tasks had no reason to connect anew.
        assert first
        assert first <= connected()

        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s) AS pid", [[*first]])
        wait_until(lambda: not first & connected())
        wait_for(approved(), "active")


def test_a_task_that_failed_leaves_no_connection_behind() -> None:
    connection.ensure_connection()
    keep_connection(converge_grant, states.SUCCESS)
    assert connection.connection is not None

    keep_connection(converge_grant, states.FAILURE)
    assert connection.connection is None
