"""A share of the kill matrix (tests/rig/kill.py); `make rig` plays all of it."""

import pytest

from tests.rig import kill
from tests.rig.operations import OPERATIONS
from tests.rig.shares import Share
from tests.rig.stand import Rig

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults, pytest.mark.slow]


@pytest.mark.parametrize("name", [one.name for one in OPERATIONS])
def test_a_worker_that_dies_around_a_call_leaves_nothing_open_and_nothing_behind(
    rig: Rig, name: str, subtests: pytest.Subtests
) -> None:
    kill.around_calls(rig, name, Share(subtests))


@pytest.mark.parametrize("name", [one.name for one in OPERATIONS])
def test_a_worker_that_dies_around_a_write_leaves_nothing_open_and_nothing_behind(
    rig: Rig, name: str, subtests: pytest.Subtests
) -> None:
    kill.around_writes(rig, name, Share(subtests))
