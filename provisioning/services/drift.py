"""Use cases of drift: have all accounts scanned, and have given back what somebody took away."""

from django.db import transaction

from accounts.models import AccountPair, User
from audit.clock import database_now
from audit.models import append
from provisioning import authz, lifecycle, tasks
from provisioning.core.drift import Kind, Thing
from provisioning.engine import drift
from provisioning.models import AccountScan, DriftFinding, Grant
from provisioning.services.common import nudge_on_commit, refusals_recorded, require


def repair(*, person: User, grant: Grant, reason: str = "") -> None:
    """Let a worker give back what somebody took from a live access in AWS.

    Raises Refused or StaleState.
    """
    with refusals_recorded("grant:repair", person, grant.subject, "repairing the access"):
        require(authz.can_repair(person, grant, database_now()))
    with transaction.atomic():
        lifecycle.reopen(
            grant,
            actor=person.username,
            sentence=f"{person.label} had the access repaired: what is missing is given back.",
            reason=reason,
            now=database_now(),
        )
        nudge_on_commit(tasks.converge_grant, grant.pk)


def restore_group(*, person: User, finding: DriftFinding) -> None:
    """Let a worker make a switch group again as it is registered. Raises Refused or StaleState."""
    with refusals_recorded("pair:restore", person, finding.account.subject, "restoring a group"):
        require(authz.can_restore_group(person))
    pairs = AccountPair.objects.filter(source=finding.account, switch_group=finding.name)
    with transaction.atomic():
        still = DriftFinding.objects.open().filter(
            pk=finding.pk, kind=Kind.NARROWED, thing=Thing.GROUP
        )
        if not still.exists() or not pairs.update(next_check_at=database_now()):
            raise lifecycle.StaleState("Nothing is missing from this switch group any more.")
        append(
            kind="pair:restore:asked",
            actor=person.username,
            subject=finding.account.subject,
            sentence=f"{person.label} had the switch group {finding.name} made again.",
            reason=finding.summary,
            data={"finding": finding.pk},
        )
        for pair in pairs:
            nudge_on_commit(tasks.prepare_pair, pair.pk)


def scan_now(*, person: User) -> None:
    """Have all accounts compared with the rows as soon as there is a worker. Raises Refused."""
    with refusals_recorded("drift:scan", person, "drift", "starting a scan"):
        require(authz.can_scan(person))
    now = database_now()
    with transaction.atomic():
        drift.schedule(now)
        due = AccountScan.objects.filter(finished_at__isnull=True, started_at__isnull=True)
        due.filter(due_at__gt=now).update(due_at=now)
        for scan in due:
            nudge_on_commit(tasks.scan_account, scan.pk)
        append(
            kind="drift:scan:asked",
            actor=person.username,
            subject="drift",
            sentence=f"{person.label} asked for a scan of all accounts.",
        )
