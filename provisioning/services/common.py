"""What every use case shares: refusing, recording refusals, and nudging after the commit."""

from functools import partial
from typing import Any

from django.db import transaction

from accounts import refusals
from accounts.refusals import refusals_recorded as refusals_recorded
from provisioning import authz, tasks


class Refused(refusals.Refused):
    """This person may not do this; the reasons are sentences for them."""

    def __init__(self, answer: authz.Answer) -> None:
        super().__init__(answer.reasons)


def require(answer: authz.Answer) -> None:
    """Go on only with a Yes. Raises Refused."""
    if not answer.allowed:
        raise Refused(answer)


def nudge_on_commit(task: Any, pk: int) -> None:
    """Tell the workers once what was written can be seen."""
    transaction.on_commit(partial(tasks.nudge, task, pk))
