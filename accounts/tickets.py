"""The ticket that a request names, and the pattern of an offer that it must match.

Patterns are written by admins and matched against what people type. They are read by RE2, which
takes time in proportion to the text whatever the pattern is, so no pattern can keep a web process
busy; what RE2 does not know (look-around, back references) is refused when the offer is saved.
"""

from typing import Final

import re2
from django.core.exceptions import ValidationError

LONGEST_PATTERN: Final = 100
LONGEST_TICKET: Final = 60
MEMORY: Final = 1 << 20
"""Bytes that a compiled pattern may take: nested counts such as `((a{99}){99}){99}` are refused."""


def _compiled(pattern: str) -> "re2._Regexp":
    options = re2.Options()
    options.max_mem = MEMORY
    options.log_errors = False
    return re2.compile(pattern, options=options)


def validate_pattern(text: str) -> None:
    """A regular expression that RE2 reads."""
    try:
        _compiled(text)
    except re2.error as error:
        message = (
            "This is no regular expression that can be used here, for example [A-Z]+-[0-9]+ is. "
            "Look-around and back references are not taken."
        )
        raise ValidationError(message, code="malformed_pattern") from error


def matches(pattern: str, ticket: str) -> bool:
    """Whether a whole ticket is of the pattern; without one, any is."""
    return not pattern or _compiled(pattern).fullmatch(ticket) is not None
