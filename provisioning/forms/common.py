"""What several forms share."""

from datetime import timedelta
from typing import Final

from accounts.durations import MINUTE

MINUTES_LIMIT: Final = 1_000_000
"""Beyond every offer; longer input would overflow a timedelta."""


def lasting(minutes: int) -> timedelta:
    """So many minutes; beyond every bound where a timedelta would overflow."""
    return min(max(minutes, 0), MINUTES_LIMIT) * MINUTE
