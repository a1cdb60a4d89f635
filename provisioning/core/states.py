"""The stages of requests and grants, as data and as a pure function of facts."""

from datetime import datetime
from enum import StrEnum
from typing import Final


class RequestState(StrEnum):
    """Where an access request stands. People move it, or it lapses unanswered."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


REQUEST_EDGES: Final[frozenset[tuple[RequestState, RequestState]]] = frozenset(
    (RequestState.PENDING, end) for end in RequestState if end is not RequestState.PENDING
)
"""The only moves a request can make. A database trigger holds the same table."""


class Phase(StrEnum):
    """Where a grant stands: does it have to exist, and is AWS as wanted?"""

    SCHEDULED = "scheduled"
    """Before its start: nothing exists in AWS, and nobody has looked there."""
    PENDING = "pending"
    ACTIVE = "active"
    ENDING = "ending"
    ENDED = "ended"


GRANT_EDGES: Final[frozenset[tuple[Phase, Phase]]] = frozenset(
    {
        (Phase.SCHEDULED, Phase.PENDING),
        (Phase.SCHEDULED, Phase.ENDING),
        (Phase.SCHEDULED, Phase.ENDED),
        (Phase.PENDING, Phase.ACTIVE),
        (Phase.PENDING, Phase.ENDING),
        (Phase.PENDING, Phase.ENDED),
        (Phase.ACTIVE, Phase.PENDING),
        (Phase.ACTIVE, Phase.ENDING),
        (Phase.ACTIVE, Phase.ENDED),
        (Phase.ENDING, Phase.ENDED),
    }
)
"""The only moves a grant can make: nothing leaves `ended`, and nothing leads from an end back to
access. A database trigger holds the same table."""


def should_exist(
    *,
    ends_at: datetime,
    revoked_at: datetime | None,
    now: datetime,
    starts_at: datetime | None = None,
) -> bool:
    """Whether a grant's access should exist in AWS at `now`. The start is inside, the end outside;
    without a start it has begun."""
    started = starts_at is None or starts_at <= now
    return started and revoked_at is None and now < ends_at


def phase(*, exists: bool, as_wanted: bool) -> Phase:
    """The phase that follows from the two answers."""
    if exists:
        return Phase.ACTIVE if as_wanted else Phase.PENDING
    return Phase.ENDED if as_wanted else Phase.ENDING
