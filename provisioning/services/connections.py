"""Use case of admins: have a worker try whether an account lets Sallyport in."""

from django.db import transaction

from accounts.models import AwsAccount, ConnectionCheck
from audit.models import append
from provisioning import authz, tasks
from provisioning.services.common import Refused, nudge_on_commit


def check_connection(*, asked_by: str, account: AwsAccount) -> ConnectionCheck:
    """Ask a worker to check an account. A check that waits already is not asked for twice.
    Raises Refused for an account that was retired.

    One that has begun does not count: it may have looked before the owner mended something.
    """
    if account.retired_at:
        raise Refused(authz.Answer(("This account is retired. Bring it back first.",)))
    with transaction.atomic():
        waiting = account.checks.filter(started_at__isnull=True).first()
        if waiting is not None:
            nudge_on_commit(tasks.check_connection, waiting.pk)
            return waiting
        check = ConnectionCheck.objects.create(account=account, asked_by=asked_by)
        append(
            kind="account:check:asked",
            actor=asked_by,
            subject=account.subject,
            sentence=f"A connection check of {account} was asked for.",
        )
        nudge_on_commit(tasks.check_connection, check.pk)
    return check
