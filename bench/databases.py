"""A database for each measure, and those of `bench.history` beside it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg
import redis
from django.conf import settings
from django.db import connection, connections

from bench.dispatch import worker_environment
from bench.history import LIVE_SHARE, Visit
from bench.world import NotAsWanted
from sandbox.servers import BASE_DIR

REGISTRY = "bench_registry"
"""The database that the others begin as copies of: to migrate takes longer than to copy."""


@contextmanager
def of_its_own(measure: str) -> Iterator[None]:
    """Django on a copy of its migrated database, and an empty broker, while the block lasts.

    Sweeper and workers would look after the rows of other measures as well, whose AWS is gone.
    """
    with closing(redis.Redis.from_url(settings.CELERY_BROKER_URL)) as broker:
        broker.flushall()
    connections.close_all()
    migrated, name = connection.settings_dict["NAME"], f"bench_{measure}"
    _at_server(f"CREATE DATABASE {name} TEMPLATE {migrated}")
    connection.settings_dict["NAME"] = name
    try:
        yield
    finally:
        connections.close_all()
        connection.settings_dict["NAME"] = migrated
        _at_server(f"DROP DATABASE {name} WITH (FORCE)")


def _at_server(statement: str) -> None:
    """From a database that nothing else is done in, and that others are copies of: nobody may stay
    in it."""
    address = _address(worker_environment(), "template1")
    with psycopg.connect(address, autocommit=True) as server:
        server.execute(statement)


@contextmanager
def registry() -> Iterator[None]:
    """That database, while the block lasts."""
    env = worker_environment()
    with psycopg.connect(env["DATABASE_URL"], autocommit=True) as server:
        server.execute(f"CREATE DATABASE {REGISTRY}")
        try:
            _history(env, REGISTRY, "registry")
            yield
        finally:
            server.execute(f"DROP DATABASE {REGISTRY} WITH (FORCE)")


@contextmanager
def database(rows: int, *, live: int = LIVE_SHARE) -> Iterator[tuple[dict[str, str], Visit]]:
    """The environment of a process on a copy of the registry with so many grants, of a hundred so
    many live; while the block lasts, inside that of `registry`."""
    env, name = worker_environment(), f"bench_{rows}_{live}"
    with psycopg.connect(env["DATABASE_URL"], autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name} TEMPLATE {REGISTRY}")
        try:
            made = _history(env, name, "grants", str(rows), str(live))
            yield env | {"DATABASE_URL": _address(env, name)}, Visit(**json.loads(made))
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _address(env: dict[str, str], name: str) -> str:
    return f"{env['DATABASE_URL'].rpartition('/')[0]}/{name}"


def _history(env: dict[str, str], name: str, *arguments: str) -> str:
    done = subprocess.run(  # noqa: S603  # This project's own.
        [sys.executable, "-m", "bench.history", *arguments],
        env=env | {"DATABASE_URL": _address(env, name)},
        cwd=BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise NotAsWanted(done.stderr[-2000:])
    return done.stdout
