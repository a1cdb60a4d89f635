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


@contextmanager
def database(rows: int, *, live: int = LIVE_SHARE) -> Iterator[tuple[dict[str, str], Visit]]:
    """The environment of a process on such a database, which is there while the block lasts."""
    env, name = worker_environment(), f"bench_{rows}_{live}"
    address, _, _ = env["DATABASE_URL"].rpartition("/")
    with psycopg.connect(env["DATABASE_URL"], autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        env["DATABASE_URL"] = f"{address}/{name}"
        try:
            yield env, Visit(**json.loads(_made(env, rows, live)))
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _made(env: dict[str, str], rows: int, live: int) -> str:
    done = subprocess.run(  # noqa: S603  # This project's own.
        [sys.executable, "-m", "bench.history", str(rows), "--live", str(live)],
        env=env,
        cwd=BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise NotAsWanted(done.stderr[-2000:])
    return done.stdout
