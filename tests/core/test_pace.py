"""A token bucket that learns from throttling."""

from datetime import UTC, datetime, timedelta

import pytest

from provisioning.core import pace
from provisioning.core.pace import Pace

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
IDLE = Pace(rate=20.0, free_at=NOW - timedelta(days=1))
NONE = timedelta(0)


def seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


def test_after_a_pause_a_burst_goes_at_once_and_no_more() -> None:
    current, waits = IDLE, []
    for _ in range(6):
        current, wait = pace.take(current, 10, now=NOW, fastest=20.0)
        waits.append(wait)

    assert waits == [NONE, NONE, NONE, seconds(0.5), seconds(1), seconds(1.5)]


def test_more_calls_than_a_burst_wait_for_a_burst() -> None:
    """They would never begin otherwise."""
    assert pace.take(IDLE, pace.BURST * 5, now=NOW, fastest=20.0)[1] == NONE


def test_calls_that_are_made_together_wait_until_there_is_room_for_all_of_them() -> None:
    """An account that allows as many as we assume never throttles us."""
    tokens, seen, current = float(pace.BURST), NOW, IDLE
    for _ in range(20):
        current, wait = pace.take(current, 5, now=seen, fastest=10.0)
        tokens = min(pace.BURST, tokens + wait.total_seconds() * 10.0) - 5
        seen += wait
        assert tokens >= -1e-9


def test_in_the_long_run_there_are_no_more_calls_than_allowed() -> None:
    current, at, calls = IDLE, NOW, 0
    while at < NOW + seconds(60):
        current, wait = pace.take(current, 7, now=at, fastest=5.0)
        at += wait
        calls += 7

    assert calls <= 60 * 5 + pace.BURST + 2 * 7


def test_a_long_pause_does_not_save_up_more_than_one_burst() -> None:
    current, wait = pace.take(IDLE, pace.BURST, now=NOW, fastest=1.0)
    assert wait == NONE

    assert pace.take(current, 1, now=NOW, fastest=1.0)[1] == seconds(1)


def test_throttling_slows_down_and_stops_for_a_second() -> None:
    slowed = pace.throttled(IDLE, now=NOW, fastest=20.0)

    assert slowed.rate == pytest.approx(14.0)
    assert slowed.free_at == NOW + pace.PAUSE


def test_throttled_answers_to_calls_that_were_on_their_way_already_count_as_one() -> None:
    once = pace.throttled(IDLE, now=NOW, fastest=20.0)

    assert pace.throttled(once, now=NOW + pace.ECHO * 0.99, fastest=20.0) == once
    assert pace.throttled(once, now=NOW + pace.ECHO, fastest=20.0).rate < once.rate


def test_it_never_gets_slower_than_one_call_a_second() -> None:
    current = IDLE
    for step in range(100):
        current = pace.throttled(current, now=NOW + step * pace.ECHO, fastest=20.0)

    assert current.rate == pace.SLOWEST


def test_the_pace_recovers_and_stays_within_what_is_set() -> None:
    slowed = Pace(rate=2.0, free_at=NOW, slowed_at=NOW)
    rates = [
        pace.rate_at(slowed, NOW + timedelta(minutes=minutes), 20.0)
        for minutes in (0, 1, 2, 3, 4, 10**6)
    ]

    assert rates == pytest.approx([2.0, 4.0, 8.0, 16.0, 20.0, 20.0])


def test_a_clock_that_was_set_back_closes_an_account_for_a_minute_at_most() -> None:
    ahead = Pace(rate=20.0, free_at=NOW + timedelta(hours=1))

    after, wait = pace.take(ahead, 20, now=NOW, fastest=20.0)

    assert wait == pace.LONGEST + seconds(1)
    assert after.free_at == NOW + wait


def test_a_clock_that_went_back_opens_nothing() -> None:
    slowed = Pace(rate=2.0, free_at=NOW, slowed_at=NOW)

    assert pace.rate_at(slowed, NOW - timedelta(hours=1), 20.0) == 2.0
