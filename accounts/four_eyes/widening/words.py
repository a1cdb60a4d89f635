"""What a comparison of rules is told in: kinds, directions, differences."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

type Snapshot = Mapping[str, Any]
"""A rule as JSON data, by field. People, groups and other rows stand in it as `user:4`."""
type Names = Mapping[str, str]
"""What pages call the rows that snapshots name."""


class Kind(StrEnum):
    """What kind of rule a snapshot is of."""

    OFFER = "offer"
    PROFILE = "profile"
    GROUP = "group"
    PERSON = "person"
    SECOND_ADMIN = "second_admin"


class Direction(StrEnum):
    """Which way a difference goes."""

    WIDENING = "widening"
    NARROWING = "narrowing"
    NEUTRAL = "neutral"


@dataclass(frozen=True)
class Difference:
    """One field of a rule that changes, in words."""

    field: str
    label: str
    before: str
    after: str
    direction: Direction
    sentence: str
    """What it means."""

    @property
    def has_lines(self) -> bool:
        """Whether a value is too long for a cell of a table."""
        return "\n" in self.before + self.after
