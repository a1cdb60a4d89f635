"""The rig: made for each test, which plays many cases on it one after the other."""

from collections.abc import Iterator

import pytest

from tests.rig.stand import Rig, made


@pytest.fixture
def rig(transactional_db: None, aws_endpoint: str) -> Iterator[Rig]:
    """The world with its cast, clocks, faults and workers."""
    with made(aws_endpoint) as rig:
        yield rig
