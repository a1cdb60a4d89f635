"""Carrying out a red button: revoking and withdrawing in batches all that its scope holds.

The row is the command: whoever comes by goes on with it, and a worker that dies loses nothing.
"""

from collections.abc import Callable, Iterable
from datetime import timedelta
from itertools import count
from typing import Final

from audit.clock import database_now
from provisioning import lifecycle
from provisioning.models import Stop

BATCH: Final = 200
"""Rows of one transaction: about a tenth of a second, so that nobody else has to wait."""
LATE_COMMITS: Final = timedelta(seconds=10)
"""A decision that began before the press may be committed after it; so long it is looked for."""


def _rounds(batches: int | None) -> Iterable[int]:
    return count() if batches is None else range(batches)


def carry_out(stop_id: int, tell: Callable[[int], bool], *, batches: int | None = None) -> None:
    """Go on with a stop: grants first, because they are open doors.

    `tell` sends a revoked grant on to the workers, who lock it out; once it answers False, the
    sweeper does the rest. With `batches`, no more than so many of grants and so many of requests
    are done here: whoever waits for a page does not wait for thousands of either.
    """
    stop = Stop.objects.unfinished().filter(pk=stop_id).first()
    if stop is None:
        return
    heard = True
    for _ in _rounds(batches):
        revoked = lifecycle.stop_grants(stop, limit=BATCH, now=database_now())
        if not revoked:
            break
        for pk in revoked:
            heard = heard and tell(pk)
    for _ in _rounds(batches):
        # None can be approved meanwhile: a stop that is not finished stands against it.
        if not lifecycle.stop_requests(stop, limit=BATCH):
            break
    now = database_now()
    if now >= stop.pressed_at + LATE_COMMITS:
        lifecycle.finish_stop(stop, now)
