"""`python -m bench`: measure, print the table, and with --write keep it in RESULTS.md."""

import argparse
import logging
import os
import platform
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.figures import Line
    from bench.measures import Size
    from bench.server import Control

    type Measure = Callable[[Control, Size], list[Line]]

FOLDER = Path(__file__).resolve().parent
RESULTS = FOLDER / "RESULTS.md"


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--full", action="store_true", help="more repetitions, and other tools")
    parser.add_argument("--write", action="store_true", help="keep the table in bench/RESULTS.md")
    parser.add_argument("--only", default="", help="names of measures, separated by commas")
    return parser.parse_args()


@contextmanager
def django_on_postgresql() -> Iterator[None]:
    """A private PostgreSQL and broker, migrated, and Django set up on them."""
    # A database of the shell's is not for this; the environment must be set before Django.
    os.environ.pop("DATABASE_URL", None)
    from tests.services import Services

    services = Services(durable=True)
    os.environ.update(services.environment())
    # The only database that a new PostgreSQL has.
    os.environ["DATABASE_URL"] = os.environ["DATABASE_URL"].removesuffix("sallyport") + "postgres"
    os.environ["SALLYPORT_CALLS_PER_SECOND"] = "1000000"
    try:
        services.need("database", "broker")
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        yield
    finally:
        services.stop()


def measures() -> dict[str, "Measure"]:
    """All measures by name, in the order of the table."""
    from bench import dispatch, drift, ends, tools
    from bench import measures as grants

    return {
        "calls": grants.calls_of_a_grant,
        "time": grants.time_of_a_grant,
        "scripts": grants.other_scripts,
        "tools": tools.other_tools,
        "parallel": grants.grants_in_parallel,
        "dispatch": dispatch.through_the_broker,
        "drift": drift.drift_scan,
        "ends": ends.many_ends,
        "memory": grants.memory,
    }


def measured(names: Collection[str], *, full: bool) -> "Iterator[Line]":
    """The lines of these measures, one after the other, against a server of their own each."""
    from bench import server
    from bench.figures import Skipped
    from bench.measures import FULL, QUICK
    from bench.world import NotAsWanted

    for name, measure in measures().items():
        if names and name not in names:
            continue
        began = time.monotonic()
        with TemporaryDirectory() as folder, server.running(Path(folder) / "aws.log") as aws:
            # botocore reads it when a client is made; no client of another server is used again.
            os.environ["AWS_ENDPOINT_URL"] = aws.endpoint
            try:
                yield from measure(aws, FULL if full else QUICK)
            except NotAsWanted as error:
                yield Skipped(name, str(error))
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr)


def quiet() -> None:
    """The product logs as ever, to nowhere: a terminal would be slower than a file."""
    nowhere = logging.FileHandler(os.devnull)
    for handler in list(logging.getLogger().handlers):
        nowhere.setFormatter(handler.formatter)
        logging.getLogger().removeHandler(handler)
    logging.getLogger().addHandler(nowhere)


def report(lines: "list[Line]", *, full: bool, seconds: float) -> str:
    """The table with what a reader must know of the run."""
    from bench.figures import table

    command = "make bench-full" if full else "make bench-quick"
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    return (
        f"# Results\n\n`{command}`, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {seconds:.0f} s; "
        f"{machine}; load at the end {load}.\n\n{table(lines)}\n"
    )


def main() -> int:
    """Measure what was asked for. 0 even where a goal is missed: the table says so."""
    asked = arguments()
    began = time.monotonic()
    with django_on_postgresql():
        quiet()
        lines = list(measured(set(filter(None, asked.only.split(","))), full=asked.full))
    text = report(lines, full=asked.full, seconds=time.monotonic() - began)
    print(text)
    if asked.write:
        RESULTS.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
