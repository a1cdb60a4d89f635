"""What a run is made of: units, which a lane plays one after the other, and their cases.

The same code plays a case for `make rig`, which reports what it saw, and for `make test-slow`,
which takes a share of the cases as subtests of pytest.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from tests.services import Services


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

    def saw(self, figure: str, value: float) -> None:
        """Tell a figure of tests/rig/goals.py, for the report."""
        ...


class Violation(AssertionError):
    """A failure that one of the goals counts: by how much its `figure` is missed."""

    def __init__(self, figure: str, what: object, amount: float = 1) -> None:
        super().__init__(f"{figure}: {what}")
        self.figure = figure
        self.amount = amount


@dataclass(frozen=True)
class Stage:
    """What units are played on. `make` gets the lane's servers, and a folder for logs."""

    make: Callable[["Services", Path], AbstractContextManager[Any]]
    is_kept: bool = False
    """Whether the next unit on the same stage goes on with it. What is not kept is made anew for
    each unit, on a database that is empty then."""


@dataclass(frozen=True)
class Unit:
    """What one lane plays in one go. `play` gets what the stage made; `title` says in the report
    what was tried."""

    name: str
    title: str
    stage: Stage
    play: Callable[[Any, Cases], None]
    only_full: bool = False
