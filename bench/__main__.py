"""`python -m bench`: measure, print the tables, and with --write keep them in RESULTS.md."""

import argparse
import logging
import os
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from pkgutil import resolve_name
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from bench import results
from bench.results import Part

if TYPE_CHECKING:
    from bench.figures import Line
    from bench.measures import Size
    from bench.server import Control

    type Measure = Callable[[Control, Size], list[Line]]

MEASURES = {
    "calls": "bench.measures:calls_of_a_grant",
    "time": "bench.measures:time_of_a_grant",
    "scripts": "bench.measures:other_scripts",
    "tools": "bench.tools:other_tools",
    "parallel": "bench.measures:grants_in_parallel",
    "dispatch": "bench.dispatch:through_the_broker",
    "throughput": "bench.throughput:grants_a_second",
    "sweeper": "bench.sweeper:rounds",
    "drift": "bench.drift:drift_scan",
    "ends": "bench.ends:many_ends",
    "pages": "bench.pages:lists",
    "memory": "bench.measures:memory",
}
"""All measures by name, in the order of RESULTS.md. They import models, so Django comes first."""


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--full", action="store_true", help="more repetitions, and other tools")
    parser.add_argument("--write", action="store_true", help="keep the tables in bench/RESULTS.md")
    parser.add_argument("--only", default="", help="names of measures, separated by commas")
    parser.add_argument(
        "--assemble", action="store_true", help="make RESULTS.md of its parts; measure nothing"
    )
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


def measured(names: Collection[str], *, full: bool) -> Iterator[Part]:
    """These measures, one after the other, each with a server and a database of its own."""
    from bench import server
    from bench.databases import of_its_own
    from bench.figures import Failed
    from bench.measures import FULL, QUICK
    from bench.world import NotAsWanted

    for name in names:
        began, at, load = time.monotonic(), datetime.now(UTC), os.getloadavg()[0]
        lines: list[Line] = []
        with (
            TemporaryDirectory() as folder,
            of_its_own(name),
            server.running(Path(folder) / "aws.log") as aws,
        ):
            # botocore reads it when a client is made; no client of another server is used again.
            os.environ["AWS_ENDPOINT_URL"] = aws.endpoint
            measure: Measure = resolve_name(MEASURES[name])
            try:
                lines += measure(aws, FULL if full else QUICK)
            except NotAsWanted as error:
                lines.append(Failed(name, str(error)))
        seconds = time.monotonic() - began
        print(f"{name}: {seconds:.0f} s", file=sys.stderr)
        yield Part(name, "full" if full else "quick", lines, at, seconds, load)


def quiet() -> None:
    """The product logs as ever, to nowhere: a terminal would be slower than a file."""
    nowhere = logging.FileHandler(os.devnull)
    for handler in list(logging.getLogger().handlers):
        nowhere.setFormatter(handler.formatter)
        logging.getLogger().removeHandler(handler)
    logging.getLogger().addHandler(nowhere)


def chosen(only: str) -> list[str]:
    """The names of the measures that were asked for, in the order of RESULTS.md; all by default."""
    asked = set(filter(None, only.split(",")))
    if unknown := asked.difference(MEASURES):
        raise SystemExit(
            f"No measure is called {', '.join(sorted(unknown))}; there are {', '.join(MEASURES)}."
        )
    return [name for name in MEASURES if name in asked or not asked]


def main() -> int:
    """Measure what was asked for. 0 even where a goal is missed, the tables say so; 1 where
    something went wrong."""
    asked, wrong = arguments(), False
    if not asked.assemble:
        names = chosen(asked.only)
        with django_on_postgresql():
            quiet()
            for part in measured(names, full=asked.full):
                print(f"\n## {part.measure}\n\n{part.text}", flush=True)
                wrong |= part.went_wrong
                if asked.write:
                    part.keep()
    if asked.write or asked.assemble:
        results.RESULTS.write_text(results.assembled(MEASURES))
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
