"""Stages of requests and grants."""

from datetime import timedelta

import pytest

from provisioning.core import states
from provisioning.core.states import Phase
from tests.core.specs import END, NOW


@pytest.mark.parametrize(
    ("exists", "as_wanted", "phase"),
    [
        (True, False, Phase.PENDING),
        (True, True, Phase.ACTIVE),
        (False, False, Phase.ENDING),
        (False, True, Phase.ENDED),
    ],
)
def test_phase_follows_from_two_answers(exists: bool, as_wanted: bool, phase: Phase) -> None:
    assert states.phase(exists=exists, as_wanted=as_wanted) is phase


@pytest.mark.parametrize(
    ("seconds", "lives"), [(-1, True), (-0.000001, True), (0, False), (1, False)]
)
def test_access_ends_on_the_second(seconds: float, lives: bool) -> None:
    now = END + timedelta(seconds=seconds)

    assert states.should_exist(ends_at=END, revoked_at=None, now=now) is lives


def test_revoked_access_should_not_exist_even_before_its_end() -> None:
    assert not states.should_exist(ends_at=END, revoked_at=NOW, now=NOW)


@pytest.mark.parametrize(("seconds", "lives"), [(-1, False), (0, True)])
def test_access_begins_on_the_second(seconds: float, lives: bool) -> None:
    now = NOW + timedelta(seconds=seconds)

    assert states.should_exist(starts_at=NOW, ends_at=END, revoked_at=None, now=now) is lives


def test_nothing_leads_back_to_before_the_start() -> None:
    assert not any(after is Phase.SCHEDULED for _, after in states.GRANT_EDGES)
    assert (Phase.SCHEDULED, Phase.ACTIVE) not in states.GRANT_EDGES


def test_nothing_leaves_ended_and_nothing_leads_back_to_access() -> None:
    assert not any(before is Phase.ENDED for before, _ in states.GRANT_EDGES)
    back = {(Phase.ENDING, Phase.ACTIVE), (Phase.ENDING, Phase.PENDING)}
    assert not back & states.GRANT_EDGES
