"""What every use case shares: refusing, recording refusals, and nudging after the commit."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from django.db import IntegrityError, transaction

from accounts import refusals
from accounts.refusals import refusals_recorded as refusals_recorded
from provisioning import authz, tasks
from provisioning.lifecycle import StaleState


class Refused(refusals.Refused):
    """This person may not do this; the reasons are sentences for them."""

    def __init__(self, answer: authz.Answer) -> None:
        super().__init__(answer.reasons)


def require(answer: authz.Answer) -> None:
    """Go on only with a Yes. Raises Refused."""
    if not answer.allowed:
        raise Refused(answer)


STOPPED_BY_DATABASE: Final = (
    "grant_not_while_stopped",
    "grant_not_longer_while_stopped",
    "request_not_while_paused",
)
PRESSED_JUST_NOW: Final = (
    "An admin has pressed the red button for this in this very moment. Ask again in a minute."
)


@contextmanager
def red_buttons_held() -> Iterator[None]:
    """Refuse what a red button stops that was pressed after it had been looked for: the database
    sees it when something is written.

    Use it around the transaction, which is undone then.
    """
    try:
        yield
    except IntegrityError as error:
        if not any(name in str(error) for name in STOPPED_BY_DATABASE):
            raise
        raise Refused(authz.Answer((PRESSED_JUST_NOW,))) from error


OF_THE_MOMENT: Final = (
    "break_glass_follows_its_offer",
    "grant_end_needs_enough_approvals",
    "grant_needs_an_approval",
    "request_needs_what_its_offer_says",
    "review_once_per_person",
)
"""Triggers and constraints that ask once more what `authz` has asked a moment before."""


@contextmanager
def rules_may_move() -> Iterator[None]:
    """Tell it as that where an offer is changed, or the same thing done, between a question and
    the row that follows from its answer. Raises StaleState. Use it around the transaction."""
    try:
        yield
    except IntegrityError as error:
        if not any(name in str(error) for name in OF_THE_MOMENT):
            raise
        raise StaleState("Something has changed in this very moment. Look again.") from error


def nudge_on_commit(task: Any, pk: int) -> None:
    """Tell the workers once what was written can be seen."""
    transaction.on_commit(partial(tasks.nudge, task, pk))
