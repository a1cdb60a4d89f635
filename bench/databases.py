"""Databases of `bench.history`, beside the one that the other measures work on."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from bench.dispatch import worker_environment
from bench.history import LIVE_SHARE, Visit
from bench.world import NotAsWanted
from sandbox.servers import BASE_DIR

REGISTRY = "bench_registry"
"""The database that the others begin as copies of: to migrate takes longer than to copy."""


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
