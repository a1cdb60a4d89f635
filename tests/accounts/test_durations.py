"""Durations as people write them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.durations import EXAMPLES, MOST, Unreadable, in_words, read, read_duration

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
"""13:00 in Berlin."""


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("90", 90),
        ("90 min", 90),
        ("90min", 90),
        (" 90  Minutes ", 90),
        ("2h", 120),
        ("2 hours", 120),
        ("1 h 30", 90),
        ("1h30", 90),
        ("1h30m", 90),
        ("1 h, 30 min", 90),
        ("1:30", 90),
        ("0:45", 45),
        ("1.5h", 90),
        ("1,5 h", 90),
        ("0.25 d", 360),
        ("2d", 2880),
        ("1 day 2 h 5", 1565),
        ("0", 0),
        ("9999999", MOST // timedelta(minutes=1)),
    ],
)
def test_a_duration_is_read(text: str, minutes: int) -> None:
    assert read_duration(text) == timedelta(minutes=minutes)
    assert read(text, begins=NOON, zone=UTC).until is None


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "an hour", "-5", "1.5", "1.5 min", "30 min 1 h", "1 h 1 h", "1 30", "1:60", "1:3",
        "h", "5 s", "5 weeks", "1h30x", "١٢", "1e3", "0x10", "1 h 30 min 20", "until", "9" * 41,
    ],
)  # fmt: skip
def test_anything_else_says_how_to_write_one(text: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read(text, begins=NOON, zone=UTC)
    assert (str(caught.value), caught.value.code) == (EXAMPLES, "unreadable_duration")


@pytest.mark.parametrize(
    ("text", "until"),
    [
        ("until 18:00", "2026-11-27T18:00+01:00"),
        ("Until 18", "2026-11-27T18:00+01:00"),
        ("till 18.30", "2026-11-27T18:30+01:00"),
        ("until 9:00", "2026-11-28T09:00+01:00"),
        ("until 13:00", "2026-11-28T13:00+01:00"),
        ("until tomorrow 9:00", "2026-11-28T09:00+01:00"),
        ("until today at 14:15", "2026-11-27T14:15+01:00"),
        ("until 2026-11-30 08:00", "2026-11-30T08:00+01:00"),
        ("until 2026-11-30T08:00", "2026-11-30T08:00+01:00"),
    ],
)
def test_an_end_is_meant_in_the_time_zone_of_the_person(text: str, until: str) -> None:
    wish = read(text, begins=NOON, zone=BERLIN)
    assert wish.until == datetime.fromisoformat(until)
    assert wish.duration == datetime.fromisoformat(until) - NOON


def test_an_end_is_counted_from_the_start_in_whole_minutes() -> None:
    begins = NOON + timedelta(hours=3, seconds=40)
    assert read("until 18:00", begins=begins, zone=UTC).duration == timedelta(hours=2, minutes=59)


@pytest.mark.parametrize("text", ["until today 9:00", "until 2026-11-26 18:00"])
def test_an_end_before_the_beginning_is_refused(text: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read(text, begins=NOON, zone=BERLIN)
    assert (str(caught.value), caught.value.code) == (
        "This end is not after the beginning.",
        "end_before_start",
    )


@pytest.mark.parametrize(
    "text",
    [
        "until 24:00",
        "until 2026-02-30 8:00",
        "until yesterday 8:00",
        "until 0001-01-01 0:00",
        "until 9999-12-31 23:59",
    ],
)
def test_an_end_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(Unreadable, match="Write it such as"):
        read(text, begins=NOON, zone=BERLIN)


def test_clocks_that_go_forward_skip_an_end_and_those_that_go_back_mean_the_earlier() -> None:
    spring = datetime(2026, 3, 28, 23, 0, tzinfo=UTC)
    with pytest.raises(Unreadable) as caught:
        read("until 2:30", begins=spring, zone=BERLIN)
    assert caught.value.code == "time_is_skipped"

    autumn = datetime(2026, 10, 24, 22, 0, tzinfo=UTC)
    assert read("until 2:30", begins=autumn, zone=BERLIN).duration == timedelta(minutes=150)
    between = datetime(2026, 10, 25, 0, 45, tzinfo=UTC)
    assert read("until 2:30", begins=between, zone=BERLIN).duration == timedelta(minutes=45)
    second = datetime(2026, 10, 25, 1, 15, tzinfo=UTC)
    assert read("until 2:30", begins=second, zone=BERLIN).duration == timedelta(minutes=15)
    assert read("until 2:10", begins=second, zone=BERLIN).duration == timedelta(
        hours=23, minutes=55
    )


@given(st.integers(0, 60 * 24 * 30))
def test_what_is_said_can_be_read_again(minutes: int) -> None:
    assert read_duration(in_words(minutes)) == timedelta(minutes=minutes)


@given(st.text(max_size=60))
def test_nothing_that_is_typed_breaks_it(text: str) -> None:
    try:
        wish = read(text, begins=NOON, zone=BERLIN)
    except Unreadable:
        return
    assert timedelta(0) <= wish.duration <= timedelta(days=366 * 8001)
