"""All units of a run, in the order in which they begin: the longest first.

What they play is imported when it is played: the process that hands them out has no Django.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.rig.cases import Cases, Stage, Unit

if TYPE_CHECKING:
    from tests.services import Services

RANDOM: Final = re.compile(r"random:(\d+)")
RUNS: Final = 60
"""Random runs of a usual run; a full one has more of them."""
RUNS_IN_FULL: Final = 500


def all_units(*, full: bool, seed: int, only: str) -> list[Unit]:
    """The units of a run. `only` is a part of a unit's name, or of "unit case"; the name of a
    random run is meant whole, and need not be one of those that begin at `seed`."""
    if found := RANDOM.fullmatch(only):
        return [_random(int(found[1]))]
    every = [*_kills(), *_spoiled(), *_frozen(), *_stale(), *_scenarios()]
    every += [_random(number) for number in range(seed, seed + (RUNS_IN_FULL if full else RUNS))]
    return [
        one
        for one in every
        if (only.split(" ")[0] in one.name or only in one.name) and (full or not one.only_full)
    ]


def unit_named(name: str) -> Unit:
    """One of them."""
    return next(one for one in all_units(full=True, seed=1, only=name) if one.name == name)


# --- What they are played on -----------------------------------------------------------------


def _make_stand(services: "Services", logs: Path) -> AbstractContextManager[Any]:
    from tests.rig.stand import made

    return made(services.environment()["AWS_ENDPOINT_URL"])


def _make_product(services: "Services", logs: Path) -> AbstractContextManager[Any]:
    from tests.rig.product import running

    return running(services, logs)


STAND: Final = Stage(_make_stand)
PRODUCT: Final = Stage(_make_product, is_kept=True)


def _playing(module: str, function: str, *arguments: object) -> Callable[[Any, Cases], None]:
    """A unit's `play`: a function of a module of the rig, with what the stage made, these
    arguments and the cases."""

    def play(scene: Any, cases: Cases) -> None:
        getattr(import_module(f"tests.rig.{module}"), function)(scene, *arguments, cases)

    return play


# --- The units -------------------------------------------------------------------------------


def _kills() -> Iterator[Unit]:
    for name in ("provision", "extend", "revoke", "expire", "prepare"):
        calls = f"kill -9 around each call to AWS: {name}"
        yield Unit(f"kill:{name}:calls", calls, STAND, _playing("kill", "around_calls", name))
        writes = f"kill -9 around each write to the database: {name}"
        yield Unit(f"kill:{name}:writes", writes, STAND, _playing("kill", "around_writes", name))


def _spoiled() -> Iterator[Unit]:
    for name in ("provision", "extend", "revoke", "expire"):
        title = f"each call spoiled on the wire: {name}"
        yield Unit(f"spoiled:{name}", title, STAND, _playing("spoiled", "each_call", name))


def _frozen() -> Iterator[Unit]:
    for name in ("provision", "extend"):
        for meanwhile in ("finished", "revoked"):
            title = f"a worker stands still at each call, meanwhile {meanwhile}: {name}"
            play = _playing("frozen", "waking_late", name, meanwhile)
            yield Unit(f"frozen:{name}:{meanwhile}", title, STAND, play)


def _stale() -> Iterator[Unit]:
    for name in ("provision", "extend", "revoke", "expire"):
        title = f"each read answered from minutes ago: {name}"
        yield Unit(f"stale:{name}:each", title, STAND, _playing("stale", "each_read", name))
        title = f"each change unseen for seconds and minutes: {name}"
        yield Unit(f"stale:{name}:all", title, STAND, _playing("stale", "all_reads", name))


SCENARIOS: Final = {
    "dead": "everything dead at the end of an access",
    "revoke": "from the click on Revoke to the lock-out, with the broker and without",
    "replay": "every message of an access again, in any order",
    "race": "20 people decide on one request at once",
    "button": "the red button while ten people decide and five break the glass",
    "ends": "very many ends in one minute",
    "outage": "a day's outage, and the return",
}


def _scenarios() -> Iterator[Unit]:
    for name, title in SCENARIOS.items():
        yield Unit(f"scenario:{name}", title, PRODUCT, _playing("scenarios", name))


def _random(number: int) -> Unit:
    title = f"random run {number}"
    return Unit(f"random:{number}", title, PRODUCT, _playing("random_runs", "play", number))
