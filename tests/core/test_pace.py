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

    assert waits == [NONE, NONE, NONE, NONE, NONE, seconds(0.5)]


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

    assert pace.take(current, 1, now=NOW, fastest=1.0)[1] == NONE
    assert pace.take(pace.take(current, 1, now=NOW, fastest=1.0)[0], 1, now=NOW, fastest=1.0)[
        1
    ] == seconds(1)


def test_throttling_slows_down_and_stops_for_a_second() -> None:
    slowed = pace.throttled(IDLE, now=NOW, fastest=20.0)

    assert slowed.rate == pytest.approx(14.0)
    assert slowed.free_at == NOW + pace.PAUSE


def test_many_throttled_answers_within_a_second_count_as_one() -> None:
    once = pace.throttled(IDLE, now=NOW, fastest=20.0)

    assert pace.throttled(once, now=NOW + seconds(0.9), fastest=20.0) == once
    assert pace.throttled(once, now=NOW + seconds(1), fastest=20.0).rate < once.rate


def test_it_never_gets_slower_than_one_call_a_second() -> None:
    current = IDLE
    for step in range(100):
        current = pace.throttled(current, now=NOW + seconds(2 * step), fastest=20.0)

    assert current.rate == pace.SLOWEST


def test_the_pace_recovers_and_stays_within_what_is_set() -> None:
    slowed = Pace(rate=2.0, free_at=NOW, slowed_at=NOW)
    rates = [
        pace.rate_at(slowed, NOW + timedelta(minutes=minutes), 20.0) for minutes in (0, 3, 6, 60)
    ]

    assert rates == [pytest.approx(2.0), pytest.approx(8.0), pytest.approx(14.0), 20.0]


def test_a_clock_that_was_set_back_closes_an_account_for_a_minute_at_most() -> None:
    ahead = Pace(rate=20.0, free_at=NOW + timedelta(hours=1))

    after, wait = pace.take(ahead, 20, now=NOW, fastest=20.0)

    assert (wait, after.free_at) == (pace.LONGEST, NOW + pace.LONGEST + seconds(1))


def test_a_clock_that_went_back_opens_nothing() -> None:
    slowed = Pace(rate=2.0, free_at=NOW, slowed_at=NOW)

    assert pace.rate_at(slowed, NOW - timedelta(hours=1), 20.0) == 2.0


def test_room_is_what_may_begin_before_the_time_ahead_is_over() -> None:
    assert pace.room(IDLE, now=NOW, ahead=NONE, fastest=20.0) == pace.BURST
    assert pace.room(IDLE, now=NOW, ahead=seconds(3), fastest=20.0) == pace.BURST + 60

    current, _ = pace.take(IDLE, pace.BURST + 100, now=NOW, fastest=20.0)

    assert pace.room(current, now=NOW, ahead=seconds(3), fastest=20.0) == 0
    assert pace.room(current, now=NOW, ahead=seconds(6), fastest=20.0) == pytest.approx(20)
