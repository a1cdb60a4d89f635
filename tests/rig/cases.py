"""What a run is made of: units, which a lane plays one after the other, and their cases.

The same code plays a case for `make rig`, which reports what it saw, and for `make test`, which
takes a share of the cases as subtests of pytest.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol


class Cases(Protocol):
    """Where a unit says which case it plays, and asks whether it is to play it."""

    full: bool
    """Whether also what takes long, or hardly differs from another case, is to be played."""

    seed: int
    """Where what is drawn by chance begins."""

    def wants(self, name: str) -> bool:
        """Whether this case is to be played in this run."""
        ...

    def case(self, name: str) -> AbstractContextManager[object]:
        """Play a case in the block. What it raises is the case's failure and goes no further."""
        ...


@dataclass(frozen=True)
class Unit:
    """What one lane plays in one go, on a database and a stand-in for AWS that are empty then.

    `play` gets the address of the stand-in. `needs` names the servers of tests/services.py.
    `title` says in the report what was tried.
    """

    name: str
    title: str
    play: Callable[[str, Cases], None]
    needs: tuple[str, ...] = ("database", "aws")
    only_full: bool = False
