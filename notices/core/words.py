"""What people typed, made harmless for one place; moments as people read them."""

import re
import unicodedata
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

LONGEST_SUBJECT: Final = 150
_INVISIBLE: Final = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
"""Controls, characters that turn the direction of writing, line separators."""


def one_line(text: str) -> str:
    """On one line, without characters that nobody sees: for headers, names and labels."""
    spaced = re.sub(r"\s+", " ", text)
    return "".join(one for one in spaced if unicodedata.category(one) not in _INVISIBLE).strip()


def paragraph(text: str) -> str:
    """The same, keeping lines: for what somebody typed into a larger field."""
    lines = (one_line(line) for line in text.splitlines())
    return "\n".join(line for line in lines if line)


def subject(text: str) -> str:
    """Fit for the Subject of a mail."""
    line = one_line(text)
    return line if len(line) <= LONGEST_SUBJECT else f"{line[: LONGEST_SUBJECT - 1]}…"


_IN_CHAT: Final = str.maketrans({"<": "(", ">": ")", "[": "(", "]": ")", "@": "@\u200b"})


def for_chat(text: str) -> str:
    """Without the characters by which a chat makes links and calls everybody in the room."""
    return paragraph(text).translate(_IN_CHAT)


def moment(at: datetime, zone: str = "") -> str:
    """`27 Nov 2026, 22:30 UTC`, and the reader's own time in brackets when they have told it."""
    utc = at.astimezone(UTC)
    words = f"{_day(utc)}, {utc:%H:%M} UTC"
    if not zone or zone == "UTC":
        return words
    local = at.astimezone(ZoneInfo(zone))
    day = f"{_day(local)}, " if local.date() != utc.date() else ""
    return f"{words} ({day}{local:%H:%M} in {zone.replace('_', ' ')})"


def _day(at: datetime) -> str:
    return f"{at.day} {at:%b %Y}"
