"""The stand of tests/faults serves here too."""

from tests.faults.conftest import rig

__all__ = ["rig"]
