"""A process that sweeps once for each line that it reads: so many grants are due then.

It answers with what the round took (`bench.sweeper.Round`), as a line of JSON.
"""

import json
import sys
import time
from datetime import timedelta
from typing import Any

import django


def main() -> None:
    """Sweep once for each line."""
    django.setup()
    _make_quiet()
    for line in sys.stdin:
        print(json.dumps(_round(int(line))), flush=True)


def _make_quiet() -> None:
    """Everything beside the grants has been done: checks, scans, pairs."""
    from accounts.models import AccountPair, AwsAccount, ConnectionCheck
    from audit.clock import database_now
    from provisioning.models import AccessRequest, AccountScan

    now = database_now()
    AccountPair.objects.update(next_check_at=None)
    AccessRequest.objects.filter(state="pending").update(
        lapses_at=now + timedelta(days=1), previewed_at=now
    )
    for account in AwsAccount.objects.all():
        ConnectionCheck.objects.create(account=account, asked_by="bench", finished_at=now)
        AccountScan.objects.create(account=account, due_at=now + timedelta(days=1))


def _round(due: int) -> dict[str, Any]:
    from django.db import connection

    from audit.clock import database_now
    from bench.measures import resident
    from provisioning.models import Grant
    from provisioning.sweep import Sweeper

    Grant.objects.filter(next_check_at__lte=database_now()).update(next_check_at=None)
    some = Grant.objects.live().order_by("-pk").values("pk")[:due]
    Grant.objects.filter(pk__in=some).update(next_check_at=database_now())
    queries = 0

    def counted(execute: Any, *arguments: Any) -> Any:
        nonlocal queries
        queries += 1
        return execute(*arguments)

    with connection.execute_wrapper(counted):
        began = time.perf_counter()
        found = Sweeper().sweep()
        seconds = time.perf_counter() - began
    return {"due": found, "queries": queries, "seconds": seconds, "resident": resident()}


if __name__ == "__main__":
    main()
