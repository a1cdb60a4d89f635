"""Comparing ten accounts full of grants with what was approved."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from accounts.models import AwsAccount
from audit.clock import database_now
from bench.figures import Figure, Line, in_turn, ratio
from bench.measures import Size, resident
from bench.server import Control
from bench.world import World, make
from provisioning.core import naming, plan
from provisioning.core.plan import WantedRole
from provisioning.engine import drift
from provisioning.engine.entry import enter_for_scan
from provisioning.models import AccountScan, DriftFinding, Grant
from provisioning.specs import spec_of_role

ACCOUNTS: Final = 10
LIVES: Final = timedelta(hours=4)
MOST_CALLS, MOST_MEMORY, MOST_TIME = 60, 64, 1.3


def drift_scan(aws: Control, size: Size) -> list[Line]:
    """Calls, memory and time of a scan, beside reading the same pages and throwing them away."""
    rounds = min(3, size.pairs)
    accounts = [_full(make(aws), max(1, size.scanned // ACCOUNTS)) for _ in range(ACCOUNTS)]
    before = resident()
    aws.clear()
    _scan(accounts)
    calls, grown = len(aws.calls()), (resident() - before) / 1e6
    _prove(accounts)
    times = in_turn(_scan, _read, [accounts] * rounds, [accounts] * rounds)
    what = f"{size.scanned} grants in {ACCOUNTS} accounts"
    return [
        Figure("P7", f"calls of a scan of {what}, AssumeRole included", calls, MOST_CALLS),
        Figure("P7", f"memory that a scan of {what} adds, MB", grown, MOST_MEMORY),
        ratio("P7", f"time of a scan of {what} over reading the same pages", times, MOST_TIME),
    ]


def _full(world: World, number: int) -> AwsAccount:
    """The target account of a pair with live grants, in the database and in AWS alike."""
    grants = world.grants(number, duration=LIVES)
    hour_ago = database_now() - timedelta(hours=1)
    rows = Grant.objects.filter(pk__in=[one.pk for one in grants])
    rows.update(phase="active", settled_at=hour_ago, intent_at=hour_ago)
    world.aws.fill(account=world.target.account_id, roles=[_role(one) for one in grants])
    return world.target


def _role(grant: Grant) -> dict[str, Any]:
    spec = spec_of_role(grant)
    wanted = plan.desired(spec, grant.starts_at).role
    if wanted is None:
        raise ValueError("A live grant wants a role.")
    return {"name": spec.role_name, "path": naming.PATH} | _contents(wanted)


def _contents(role: WantedRole) -> dict[str, Any]:
    return {
        "trust": role.trust,
        "boundary": role.boundary_arn,
        "tags": dict(role.tags),
        "max_session_seconds": role.max_session_seconds,
        "inline": dict(role.inline),
        "managed": list(role.managed),
    }


def _scan(accounts: Sequence[AwsAccount]) -> None:
    now = database_now()
    for account in accounts:
        AccountScan.objects.get_or_create(
            account=account, finished_at=None, defaults={"due_at": now}
        )
    planned = AccountScan.objects.filter(account__in=accounts, finished_at=None)
    planned.update(due_at=now)
    for scan in list(planned.values_list("pk", flat=True)):
        drift.run_scan(scan)


def _read(accounts: Sequence[AwsAccount]) -> None:
    """The same pages, read and thrown away."""
    for account in accounts:
        with enter_for_scan(account) as session:
            pages = session.client.get_paginator("get_account_authorization_details")
            filtered = pages.paginate(
                Filter=["User", "Group", "Role"], PaginationConfig={"PageSize": 1000}
            )
            for _ in filtered:
                pass


def _prove(accounts: Sequence[AwsAccount]) -> None:
    """A scan that failed, or that found what is not there, is no measure."""
    failed = AccountScan.objects.filter(account__in=accounts).exclude(error="")
    found = DriftFinding.objects.filter(account__in=accounts)
    if failed.exists() or found.exists():
        raise AssertionError([*failed.values_list("error"), *found.values_list("summary")][:3])
