"""What every use case shares: refusing, recording refusals, and nudging after the commit."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from django.db import transaction

from accounts.models import User
from audit.models import append
from provisioning import authz, tasks


class Refused(Exception):
    """This person may not do this; the reasons are sentences for them."""

    def __init__(self, answer: authz.Answer) -> None:
        super().__init__(" ".join(answer.reasons))
        self.reasons = answer.reasons


def require(answer: authz.Answer) -> None:
    """Go on only with a Yes. Raises Refused."""
    if not answer.allowed:
        raise Refused(answer)


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


def nudge_on_commit(task: Any, pk: int) -> None:
    """Tell the workers once what was written can be seen."""
    transaction.on_commit(partial(tasks.nudge, task, pk))
