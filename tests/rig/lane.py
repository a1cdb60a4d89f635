"""One lane of a run: `python -m tests.rig.lane`, a process that plays units one after the other.

It has a PostgreSQL, a broker and a stand-in for AWS of its own, and all of them end with it. The
names of units come on standard input, one a line; what became of their cases goes to standard
output as lines of JSON.
"""

import argparse
import json
import os
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.rig.cases import Stage, Unit, Violation
from tests.rig.units import unit_named
from tests.services import Services


class Told:
    """`Cases` of a lane: each one is told to the run that started it."""

    def __init__(self, unit: str, *, only: str, full: bool, seed: int) -> None:
        self.unit = unit
        self.only = only
        self.full = full
        self.seed = seed

    def wants(self, name: str) -> bool:
        """Whether it was asked for: by the unit's name, by its own, or by both."""
        return self.only in f"{self.unit} {name}"

    @contextmanager
    def case(self, name: str) -> Iterator[None]:
        """Play the case, and tell how long it took and how it ended."""
        began = time.monotonic()
        why = ""
        try:
            yield
        except Exception as error:
            why = traceback.format_exc()
            if isinstance(error, Violation):
                self.saw(error.figure, error.amount)
        say(case=name, unit=self.unit, seconds=time.monotonic() - began, why=why)

    def saw(self, figure: str, value: float) -> None:
        """Tell a figure for the report."""
        say(unit=self.unit, figure=figure, value=value)


def say(**told: Any) -> None:
    """One line to the run that started this lane."""
    print(json.dumps(told), file=_OUT, flush=True)


_OUT = os.fdopen(os.dup(1), "w")
"""Standard output as it was: what programs and libraries print must not come between."""


def main() -> None:
    """Start the servers, play what is asked for, stop them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--logs", type=Path, required=True, help="folder for what processes say")
    arguments = parser.parse_args()
    os.dup2(2, 1)
    # A database of the shell's is not for this.
    os.environ.pop("DATABASE_URL", None)
    services = Services()
    os.environ.update(services.environment())
    # The only database that a new PostgreSQL has.
    os.environ["DATABASE_URL"] = os.environ["DATABASE_URL"].removesuffix("sallyport") + "postgres"
    try:
        services.need("database", "aws")
        _set_up()
        say(ready=True)
        with _Stages(services, arguments.logs) as stages:
            for line in sys.stdin:
                _play(line.strip(), stages, arguments)
    finally:
        services.stop()


def _set_up() -> None:
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


def _play(name: str, stages: "_Stages", arguments: argparse.Namespace) -> None:
    unit = unit_named(name)
    cases = Told(name, only=arguments.only, full=arguments.full, seed=arguments.seed)
    began = time.monotonic()
    try:
        unit.play(stages.for_unit(unit), cases)
    except Exception:
        say(case="", unit=name, seconds=0, why=traceback.format_exc())
        stages.leave()
    if not unit.stage.is_kept:
        stages.leave()
    say(done=name, seconds=time.monotonic() - began)


@dataclass
class _Stages:
    """The stage that is made up, if any: some are kept from one unit to the next."""

    services: Services
    logs: Path
    stage: Stage | None = None
    made: AbstractContextManager[Any] | None = None
    scene: Any = None

    def __enter__(self) -> "_Stages":
        return self

    def __exit__(self, *error: object) -> None:
        self.leave()

    def for_unit(self, unit: Unit) -> Any:
        """What the unit is played on."""
        if self.stage is not unit.stage:
            self.leave()
            made = unit.stage.make(self.services, self.logs)
            self.scene = made.__enter__()
            self.stage, self.made = unit.stage, made
        return self.scene

    def leave(self) -> None:
        """The next unit begins with no rows; those of accounts, too."""
        made, self.stage, self.made, self.scene = self.made, None, None, None
        if made is not None:
            try:
                made.__exit__(None, None, None)
            finally:
                _empty()


def _empty() -> None:
    from django.core.management import call_command
    from django.db import connections

    call_command("flush", interactive=False, verbosity=0)
    connections.close_all()


if __name__ == "__main__":
    main()
