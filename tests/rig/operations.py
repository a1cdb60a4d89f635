"""What workers are killed in the midst of: one entry for each operation, with how to prepare it."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from accounts.models import AccountPair
from audit.clock import database_now
from provisioning import services
from provisioning.models import Grant
from tests.aws_world import approve
from tests.factories import AccountPairFactory, AwsAccountFactory, ConnectionCheckFactory
from tests.rig.stand import SHORT, Rig, fresh


@dataclass(frozen=True)
class Operation:
    """Something that a worker does. `prepare` leads up to it and gives what it is about."""

    name: str
    work: str
    prepare: Callable[[Rig], int]
    leads_to: str
    """The phase of the grant afterwards; for a pair, its state."""


def _provision(rig: Rig) -> int:
    return rig.approved().pk


def _revoke(rig: Rig) -> int:
    grant = rig.active()
    services.revoke(person=rig.cast.dana, grant=grant, reason="Wrong account.")
    return grant.pk


def _expire(rig: Rig) -> int:
    grant = rig.active()
    rig.pass_time(SHORT)
    return grant.pk


def _prepare_pair(rig: Rig) -> int:
    """A new pair, with a switch group of its own."""
    account = AwsAccountFactory.create()
    now = database_now()
    ConnectionCheckFactory.create(account=account, started_at=now, finished_at=now)
    pair = AccountPairFactory.create(
        source=rig.cast.pair.source,
        target=account,
        switch_group=f"switch-to-{account.account_id}",
        next_check_at=now,
    )
    return int(pair.pk)


def _extend(rig: Rig) -> int:
    """More time for an access that is in use."""
    grant = rig.active()
    request = services.extend_access(
        person=rig.cast.alice, grant=grant, duration=SHORT, reason="Not done yet."
    )
    approve(request, rig.cast.bob)
    return grant.pk


OPERATIONS: Final = (
    Operation("provision", "converge", _provision, "active"),
    Operation("extend", "converge", _extend, "active"),
    Operation("revoke", "converge", _revoke, "ended"),
    Operation("expire", "converge", _expire, "ended"),
    Operation("prepare", "prepare_pair", _prepare_pair, "ready"),
)


def outcome(operation: Operation, pk: int) -> str:
    """What became of it."""
    if operation.work == "prepare_pair":
        return str(AccountPair.objects.get(pk=pk).state)
    return str(Grant.objects.get(pk=pk).phase)


def finish(rig: Rig, operation: Operation, pk: int) -> None:
    """Let what is left of a case come to its end, so that the next one can begin."""
    if operation.work == "prepare_pair":
        AccountPair.objects.filter(pk=pk).update(next_check_at=None)
        return
    grant = fresh(Grant.objects.get(pk=pk))
    if grant.ends_at > database_now():
        rig.pass_time(grant.ends_at - database_now())
    for _ in range(4):
        if fresh(grant).phase == "ended":
            return
        rig.sweep()
        rig.pass_time(timedelta(minutes=5, seconds=1))


# --- Which calls there are -------------------------------------------------------------------

READS: Final = ("Get", "List", "AssumeRole")


@dataclass(frozen=True)
class Point:
    """One call of an operation: the nth of its kind in its account, the same in every run, also
    when both accounts are worked at once."""

    service: str
    action: str
    account: str
    nth: int

    @property
    def name(self) -> str:
        """As people name it."""
        return f"{self.account or 'portal'}.{self.action}.{self.nth}"

    @property
    def reads(self) -> bool:
        """Whether it changes nothing in AWS."""
        return self.action.startswith(READS)

    def fault(self, kind: str, times: int = 1) -> dict[str, Any]:
        """The fault that meets this call."""
        return {
            "kind": kind,
            "service": self.service,
            "action": self.action,
            "account": self.account,
            "nth": self.nth,
            "times": times,
        }


def points(rig: Rig, operation: Operation) -> list[Point]:
    """All calls of an operation, found by letting it run undisturbed."""
    rig.put_back()
    pk = operation.prepare(rig)
    rig.mend()
    assert rig.run(operation.work, pk).status == 0
    found = list(_numbered(rig.calls()))
    assert outcome(operation, pk) == operation.leads_to
    finish(rig, operation, pk)
    return found


def _numbered(calls: list[Any]) -> Iterator[Point]:
    seen: Counter[tuple[str, str, str]] = Counter()
    for call in calls:
        key = (call["service"], call["action"], call["account"])
        seen[key] += 1
        yield Point(*key, seen[key])


def named(name: str) -> Operation:
    """One of the operations."""
    return next(one for one in OPERATIONS if one.name == name)
