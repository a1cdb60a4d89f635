"""All units of a run, in the order in which they begin: the longest first.

What they play is imported when it is played: the process that hands them out has no Django.
"""

from collections.abc import Callable, Iterator
from importlib import import_module

from tests.rig.cases import Cases, Unit


def all_units() -> Iterator[Unit]:
    """Every unit that there is."""
    yield from _kills()
    yield from _spoiled()
    yield from _frozen()
    yield from _stale()


def _kills() -> Iterator[Unit]:
    for name in ("provision", "extend", "revoke", "expire", "prepare"):
        calls = f"kill -9 around each call to AWS: {name}"
        yield Unit(f"kill:{name}:calls", calls, _on_stand("kill", "around_calls", name))
        writes = f"kill -9 around each write to the database: {name}"
        yield Unit(f"kill:{name}:writes", writes, _on_stand("kill", "around_writes", name))


def _spoiled() -> Iterator[Unit]:
    for name in ("provision", "extend", "revoke", "expire"):
        title = f"each call spoiled on the wire: {name}"
        yield Unit(f"spoiled:{name}", title, _on_stand("spoiled", "each_call", name))


def _frozen() -> Iterator[Unit]:
    for name in ("provision", "extend"):
        for meanwhile in ("finished", "revoked"):
            title = f"a worker stands still at each call, meanwhile {meanwhile}: {name}"
            play = _on_stand("frozen", "waking_late", name, meanwhile)
            yield Unit(f"frozen:{name}:{meanwhile}", title, play)


def _stale() -> Iterator[Unit]:
    for name in ("provision", "extend", "revoke", "expire"):
        title = f"each read answered from minutes ago: {name}"
        yield Unit(f"stale:{name}:each", title, _on_stand("stale", "each_read", name))
        title = f"each change unseen for seconds and minutes: {name}"
        yield Unit(f"stale:{name}:all", title, _on_stand("stale", "all_reads", name))


def _on_stand(module: str, function: str, *arguments: object) -> Callable[[str, Cases], None]:
    """A unit's `play`: a function of a module of the rig, with the stand, these and the cases."""

    def play(endpoint: str, cases: Cases) -> None:
        from tests.rig.stand import made

        with made(endpoint) as rig:
            getattr(import_module(f"tests.rig.{module}"), function)(rig, *arguments, cases)

    return play
