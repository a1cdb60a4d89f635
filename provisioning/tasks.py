"""Celery entry points: a primary key in, one call out. And the nudge that sends them."""

from datetime import timedelta
from typing import Any

import structlog
from celery import shared_task
from django.conf import settings
from kombu import Connection, pools
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from provisioning.engine import (
    autoapprove,
    converge,
    created_users,
    cutback,
    drift,
    onboard,
    retirement,
    stops,
    switch_groups,
)

log = structlog.get_logger(__name__)


@shared_task(name="sallyport.converge")
def converge_grant(grant_id: int) -> None:
    """Look at a grant again."""
    converge.converge(grant_id)


@shared_task(name="sallyport.preview")
def preview_request(request_id: int) -> None:
    """Try the plan of a request; a rule may decide on it then."""
    preview_and_decide(request_id)


def preview_and_decide(request_id: int) -> None:
    """The same, also for a sweeper that does it itself."""
    grant = autoapprove.look_and_decide(request_id)
    if grant is not None:
        nudge(converge_grant, grant.pk)


@shared_task(name="sallyport.prepare_pair")
def prepare_pair(pair_id: int) -> None:
    """Make the switch group of a pair."""
    switch_groups.prepare_pair(pair_id)


@shared_task(name="sallyport.finish_pair")
def finish_pair(pair_id: int) -> None:
    """Remove what is left in AWS of a pair that is being retired."""
    retirement.finish_pair(pair_id)


@shared_task(name="sallyport.check_connection")
def check_connection(check_id: int) -> None:
    """Run one connection check."""
    onboard.run_check(check_id)


@shared_task(name="sallyport.verify_identity")
def verify_identity(identity_id: int) -> None:
    """Find an IAM user in AWS."""
    onboard.verify_identity(identity_id)


@shared_task(name="sallyport.create_or_remove_user")
def create_or_remove_user(identity_id: int) -> None:
    """Make or remove an IAM user of ours."""
    created_users.work(identity_id)


@shared_task(name="sallyport.set_password")
def set_password(request_id: int) -> None:
    """Set a one-time password."""
    created_users.set_password(request_id)


@shared_task(name="sallyport.scan_account")
def scan_account(scan_id: int) -> None:
    """Compare an account with the rows."""
    drift.run_scan(scan_id)


@shared_task(name="sallyport.cut_back")
def cut_back(finding_id: int) -> None:
    """Take away what a scan found and nobody approved."""
    cutback.act(finding_id)


@shared_task(name="sallyport.carry_out_stop")
def carry_out_stop(stop_id: int) -> None:
    """Go on with a red button."""
    go_on_with_stop(stop_id)


def go_on_with_stop(stop_id: int, *, batches: int | None = None) -> None:
    """Revoke what is left of a red button's scope, and send each grant on to the workers."""
    stops.carry_out(stop_id, lambda grant_id: nudge(converge_grant, grant_id), batches=batches)


def nudge(task: Any, pk: int, *, delay: timedelta = timedelta(0)) -> bool:
    """Tell the workers to look at something, after a delay where one is given. Returns False when
    the broker does not answer.

    A nudge may be lost: the sweeper finds from the database what is due. So it is tried once, with
    `NUDGE_TIMEOUT` seconds at most for each step, and failing it never fails the caller.
    """
    wait = settings.NUDGE_TIMEOUT
    options = {"socket_timeout": wait, "socket_connect_timeout": wait, "max_retries": 0}
    broker = Connection(settings.CELERY_BROKER_URL, connect_timeout=wait, transport_options=options)
    try:
        with pools.producers[broker].acquire(block=True, timeout=wait) as producer:
            # A message without a countdown is taken up at once; one with it passes a timer first.
            countdown = delay.total_seconds() or None
            task.apply_async(args=[pk], countdown=countdown, producer=producer, retry=False)
    except (KombuError, OSError, RedisError) as error:
        log.warning("nudge_failed", task=task.name, pk=pk, error=type(error).__name__)
        return False
    return True
