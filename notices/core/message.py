"""A notice in words, before it becomes a mail, a chat message or JSON."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Link:
    """A page to open. It shows something; whatever changes something is a button there."""

    label: str
    url: str
    minor: bool = False
    """Whether it is for later, and not what the reader came for."""


@dataclass(frozen=True)
class Message:
    """What one reader is told. Every text is plain; each channel escapes for itself."""

    subject: str
    headline: str
    lines: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    quote: str = ""
    """What a person typed: a reason, a question."""
    links: tuple[Link, ...] = ()
    """In the order in which they are to be opened."""


class Pointless(Exception):
    """Nobody needs to be told any more; the text says why."""


class TooEarly(Exception):
    """Something else has to be known first; look again in a moment."""
