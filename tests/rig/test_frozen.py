"""A share of the workers that wake up late (tests/rig/frozen.py)."""

import pytest

from tests.rig import frozen
from tests.rig.shares import Share
from tests.rig.stand import Rig

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults, pytest.mark.slow]


@pytest.mark.parametrize("meanwhile", ["finished", "revoked"])
@pytest.mark.parametrize("name", ["provision", "extend"])
def test_a_worker_that_wakes_up_late_opens_nothing(
    rig: Rig, name: str, meanwhile: str, subtests: pytest.Subtests
) -> None:
    frozen.waking_late(rig, name, meanwhile, Share(subtests))
