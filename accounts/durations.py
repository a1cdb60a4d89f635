"""Durations as people write and read them. Pure: the time now and the time zone are arguments.

`90`, `90 min`, `2h`, `1 h 30`, `1:30`, `1.5 hours`, `2 days`; and, where a person says when
something shall end, `until 18:00`, `until 2026-11-30 18:00` or `until tomorrow 9:00`, in their
time zone.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final

MINUTE: Final = timedelta(minutes=1)
DAY: Final = timedelta(days=1)
LONGEST_TEXT: Final = 40
"""Characters; every pattern below is read in proportion to them."""
MOST: Final = timedelta(days=366)
"""Beyond every limit; larger numbers would overflow a timedelta."""
YEARS: Final = range(2000, 9000)
"""Years that a person can mean. At the edges of the calendar no time zone can be worked out."""

EXAMPLES: Final = "Write it such as 90 min, 2h, 1 h 30 min or until 18:00."
_AMOUNT = re.compile(r"(\d{1,7})(?:[.,](\d{1,2}))?\s*([a-z]*)", re.ASCII)
_CLOCK = re.compile(r"(\d{1,3}):([0-5]\d)", re.ASCII)
_UNITS: Final = {
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), MINUTE),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 60 * MINUTE),
    **dict.fromkeys(("d", "day", "days"), DAY),
}
_UNTIL = re.compile(
    r"(?:until|till?|to)\s+(?:(?P<day>\d{4}-\d{2}-\d{2}|today|tomorrow)[ t]+)?(?:at\s+)?"
    r"(?P<hour>\d{1,2})(?:[:.](?P<minute>[0-5]\d))?",
    re.ASCII,
)


class Unreadable(ValueError):
    """What was typed is no duration; the message says how to write one."""

    def __init__(self, message: str = EXAMPLES, *, code: str = "unreadable_duration") -> None:
        super().__init__(message)
        self.code = code


def in_words(minutes: int) -> str:
    """A duration as people say it: `45 min`, `2 h`, `1 h 30 min`, `3 d`."""
    days, rest = divmod(minutes, 24 * 60)
    hours, left = divmod(rest, 60)
    parts = [f"{days} d" * bool(days), f"{hours} h" * bool(hours), f"{left} min" * bool(left)]
    return " ".join(part for part in parts if part) or "0 min"


@dataclass(frozen=True)
class Wish:
    """How long somebody wants something; `until` is the end, where they named one."""

    duration: timedelta
    until: datetime | None = None


def read(text: str, *, begins: datetime, zone: tzinfo) -> Wish:
    """What a person typed, for something that begins at `begins`. Whole minutes, rounded down.

    Raises Unreadable, also for an end that is not after the beginning, or that their clocks skip.
    """
    typed = _tidy(text)
    found = _UNTIL.fullmatch(typed)
    if found is None:
        return Wish(read_duration(typed))
    until = _end(found, begins.astimezone(zone), zone)
    if until <= begins:
        raise Unreadable("This end is not after the beginning.", code="end_before_start")
    return Wish((until - begins) // MINUTE * MINUTE, until)


def read_duration(text: str) -> timedelta:
    """A duration in whole minutes; a number alone means minutes. Raises Unreadable."""
    typed = _tidy(text)
    clock = _CLOCK.fullmatch(typed)
    if clock is not None:
        return min((60 * int(clock[1]) + int(clock[2])) * MINUTE, MOST)
    total, at, before = timedelta(0), 0, timedelta(0)
    while at < len(typed):
        part = _AMOUNT.match(typed, at)
        if part is None:
            raise Unreadable
        unit = _unit(part[3], before)
        total += _amount(part, unit)
        before, at = unit, part.end()
        at += len(typed[at:]) - len(typed[at:].lstrip(" ,"))
    if not typed or total % MINUTE:
        raise Unreadable
    return min(total, MOST)


def _tidy(text: str) -> str:
    """Lower case, and one space where there was any: people paste all kinds of white space."""
    if len(text) > LONGEST_TEXT:
        raise Unreadable
    return " ".join(text.lower().split())


def _unit(word: str, before: timedelta) -> timedelta:
    """What a number counts; the one of `1 h 30` counts minutes, and no unit comes twice."""
    if not word:
        word = "min"
    if word not in _UNITS:
        raise Unreadable
    unit = _UNITS[word]
    if before and unit >= before:
        raise Unreadable
    return unit


def _amount(part: re.Match[str], unit: timedelta) -> timedelta:
    """`1.5 h` is 90 minutes; `1.5` alone or half a minute is nothing."""
    whole = min(int(part[1]), MOST // MINUTE) * unit
    if not part[2]:
        return min(whole, MOST)
    if not part[3] or unit == MINUTE:
        raise Unreadable
    share: timedelta = int(part[2]) * unit / 10 ** len(part[2])
    return min(whole + share // MINUTE * MINUTE, MOST)


def _end(found: re.Match[str], begins: datetime, zone: tzinfo) -> datetime:
    """The moment that is meant: without a day the next time that clocks there show it."""
    hour, minute = int(found["hour"]), int(found["minute"] or 0)
    if hour > 23:
        raise Unreadable
    clock, day = time(hour, minute), _day(found["day"], begins)
    end = _moment(day, clock, zone)
    if found["day"] is not None or _is_after(end, begins):
        return end
    again = end.replace(fold=1)
    return again if _is_after(again, begins) else _moment(day + DAY, clock, zone)


def _is_after(end: datetime, begins: datetime) -> bool:
    """As moments: two times of one zone would be compared as clocks show them, and in the hour that
    autumn has twice that is wrong."""
    return end.astimezone(UTC) > begins.astimezone(UTC)


def _day(word: str | None, begins: datetime) -> date:
    if word in {None, "today"}:
        return begins.date()
    if word == "tomorrow":
        return begins.date() + DAY
    try:
        day = date.fromisoformat(str(word))
    except ValueError as error:
        raise Unreadable from error
    if day.year not in YEARS:
        raise Unreadable
    return day


def _moment(day: date, clock: time, zone: tzinfo) -> datetime:
    """A wall clock's time as a moment: of two in autumn the earlier (`fold` means the later), and
    none that spring skips."""
    moment = datetime.combine(day, clock, zone)
    there_and_back = datetime.fromtimestamp(moment.timestamp(), zone)
    if there_and_back.replace(tzinfo=None) != moment.replace(tzinfo=None):
        message = "Clocks go forward at that time, so it does not exist. Choose another one."
        raise Unreadable(message, code="time_is_skipped")
    return moment
