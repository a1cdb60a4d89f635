"""A share of the reads that have not heard of the last changes (tests/rig/stale.py)."""

import pytest

from tests.rig import stale
from tests.rig.shares import Share
from tests.rig.stand import Rig

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]


@pytest.mark.parametrize("name", ["provision", "extend", "revoke", "expire"])
def test_nothing_is_called_done_on_the_word_of_a_read_from_a_while_ago(
    rig: Rig, name: str, subtests: pytest.Subtests
) -> None:
    stale.each_read(rig, name, Share(subtests))
    stale.all_reads(rig, name, Share(subtests))
