"""Refusing a person, and recording that they were refused."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from accounts.models import User
from audit.models import append


class Refused(Exception):
    """This person may not do this; the reasons are sentences for them."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__(" ".join(reasons))
        self.reasons = tuple(reasons)


@contextmanager
def refusals_recorded(kind: str, person: User, subject: str, attempt: str) -> Iterator[None]:
    """Record an attempt that is refused inside, after what it had begun is undone (I8)."""
    try:
        yield
    except Refused as refused:
        append(
            kind=f"{kind}:refused",
            actor=person.username,
            subject=subject,
            sentence=f"{person.label} was refused: {attempt}.",
            reason=str(refused),
        )
        raise
