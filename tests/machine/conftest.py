"""The stand of tests/rig serves here too."""

from tests.rig.conftest import rig

__all__ = ["rig"]
