"""The share of the rig's cases that `make test-slow` plays, as subtests of pytest."""

import os
import zlib
from contextlib import AbstractContextManager
from typing import Final

import pytest

SHARE: Final = int(os.environ.get("SHARE", "12"))
"""`make test-slow` plays every twelfth case, always the same ones; `make rig` plays all."""
ONLY: Final = os.environ.get("CASE", "")
"""Only the cases whose name contains this."""


class Share:
    """`Cases` for pytest: some of them, each a subtest."""

    full = False
    seed = 1

    def __init__(self, subtests: pytest.Subtests) -> None:
        self._subtests = subtests

    def wants(self, name: str) -> bool:
        """Whether it was asked for by name, or is of this run's share."""
        return ONLY in name if ONLY else zlib.crc32(name.encode()) % SHARE == 0

    def case(self, name: str) -> AbstractContextManager[object]:
        """A subtest of this name."""
        return self._subtests.test(name)

    def saw(self, figure: str, value: float) -> None:
        """There is no report."""
