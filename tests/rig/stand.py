"""The stand for everything that goes wrong: one world, made once, and put back for each case.

alice (userA) asks, bob approves, dana administers. Beside them stands what must not be touched:
charlie's access through the same pair, and look-alikes of ours that are not ours.
"""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
from botocore.retries import standard
from django.db import connection, transaction
from django.test import override_settings

from accounts.models import AccountPair, AwsAccount, Offer, User
from audit.clock import database_now
from provisioning import lifecycle, services
from provisioning.core.states import Phase
from provisioning.engine import converge, switch_groups
from provisioning.models import Grant
from provisioning.sweep import Sweeper
from sandbox import world
from sandbox.processes import free_port
from tests.aws_world import approve
from tests.factories import (
    AccessProfileFactory,
    AccountPairFactory,
    AwsAccountFactory,
    ConnectionCheckFactory,
    IamIdentityFactory,
    OfferFactory,
    UserFactory,
)
from tests.judge.state import State, read_state
from tests.rig.clock import movable_clock, put_ahead

SOURCE: Final = "111111111111"
TARGET: Final = "222222222222"
GROUP: Final = f"switch-to-{TARGET}"
READ_ONLY: Final = "arn:aws:iam::aws:policy/ReadOnlyAccess"
SECOND: Final = timedelta(seconds=1)
LEASE_AND_MORE: Final = lifecycle.LEASE + SECOND
SHORT: Final = timedelta(minutes=10)
"""How long the accesses of the cases last: longer than a lease and two sweeps."""

administrator = cache(world.administrator)

type Fault = dict[str, Any]


@dataclass
class Cast:
    """The people, and what they are about."""

    alice: User
    bob: User
    charlie: User
    dana: User
    pair: AccountPair
    offer: Offer


@dataclass
class Rig:
    """The world, its clocks, its faults, and workers in processes of their own."""

    endpoint: str
    cast: Cast
    portal: dict[str, str]
    log: Path
    ahead: timedelta = timedelta()
    base: Any = None
    foreign: frozenset[str] = frozenset()
    heard: int = 0
    """Number of the last call in the journal that was looked at."""
    _zygote: "subprocess.Popen[str] | None" = field(default=None, repr=False)
    _working: int = 0

    # --- The server that stands for AWS

    def control(self, what: str, body: Any = None) -> Any:
        """Call one of the server's own addresses."""
        request = urllib.request.Request(  # noqa: S310  # The endpoint is this machine's.
            f"{self.endpoint}/sandbox-api/{what}",
            data=json.dumps(body).encode(),
            method="POST",
            headers={"X-Sandbox-Control": "yes", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=90) as answer:  # noqa: S310  # As above.
            return json.load(answer)

    def spoil(self, *faults: Fault) -> None:
        """Let calls go wrong from now on."""
        self.control("faults", list(faults))

    def mend(self) -> None:
        """Nothing goes wrong any more."""
        self.control("faults-clear")

    def calls(self) -> list[Any]:
        """What was called since `mend`."""
        found: list[Any] = self.control("calls")
        return found

    def journal(self) -> list[Any]:
        """Every call since it was last asked for, with who made it and what came of it."""
        found: list[Any] = self.control(f"journal?after={self.heard}")
        self.heard = found[-1]["number"] if found else self.heard
        return found

    def state(self) -> State:
        """Both accounts, for the judge."""
        return read_state({one: administrator(one) for one in (SOURCE, TARGET)})

    # --- Time

    def pass_time(self, by: timedelta) -> None:
        """Time passes for the database, AWS, and every process of ours."""
        self.ahead += by
        put_ahead(self.ahead)
        self.control(f"clock?offset={self.ahead.total_seconds()}")

    def sweep(self) -> None:
        """One round of a sweeper that finds no broker, and does everything itself."""
        Sweeper().sweep()

    # --- What people do

    def approved(self, duration: timedelta = SHORT, who: User | None = None) -> Grant:
        """A new access of alice's, approved by bob."""
        request = services.request_access(
            requester=who or self.cast.alice,
            offer=Offer.objects.get(pk=self.cast.offer.pk),
            duration=duration,
            reason="Look at the findings.",
        )
        return approve(request, self.cast.bob)

    def active(self, duration: timedelta = SHORT, who: User | None = None) -> Grant:
        """The same, and provided."""
        grant = self.approved(duration, who)
        converge.converge(grant.pk)
        grant = fresh(grant)
        assert grant.phase == "active", grant.last_error
        return grant

    # --- Workers in processes of their own

    def begin(self, work: str, pk: int, **options: Any) -> int:
        """Start a worker on one thing; its process id. One at a time."""
        if self._zygote is None:
            self._zygote = self._start()
        self._abandon()
        order = {"work": work, "pk": pk, "env": self.portal} | options
        assert self._zygote.stdin is not None
        self._zygote.stdin.write(json.dumps(order) + "\n")
        self._zygote.stdin.flush()
        self._working = self._answer()["pid"]
        return self._working

    def end(self) -> "Ending":
        """Wait for the worker; how it ended."""
        told = self._answer()
        while "status" not in told:
            told |= self._answer()
        self._working = 0
        return Ending(told["status"], told.get("writes", 0))

    def _abandon(self) -> None:
        """End the worker of a case that failed in the midst of it."""
        if self._working:
            os.kill(self._working, signal.SIGKILL)
            self.end()

    def run(self, work: str, pk: int, **options: Any) -> "Ending":
        """Let a worker do one thing to its end."""
        self.begin(work, pk, **options)
        return self.end()

    def has_said_more(self) -> bool:
        """Whether the worker has come to its end by itself."""
        assert self._zygote is not None
        assert self._zygote.stdout is not None
        return bool(select.select([self._zygote.stdout], [], [], 0)[0])

    def kill(self, pid: int) -> None:
        """Kill a worker whose call is held, and drop the call."""
        os.kill(pid, signal.SIGKILL)
        assert self.end().status == -signal.SIGKILL
        self.control("release?do=drop")
        self.mend()

    def _answer(self) -> dict[str, int]:
        assert self._zygote is not None
        assert self._zygote.stdout is not None
        line = self._zygote.stdout.readline()
        assert line, self.log.read_text()
        answer: dict[str, int] = json.loads(line)
        return answer

    def _start(self) -> "subprocess.Popen[str]":
        database = connection.settings_dict
        address = f"{database['USER']}@127.0.0.1:{database['PORT']}/{database['NAME']}"
        env = dict(os.environ) | {"DATABASE_URL": f"postgres://{address}"}
        with self.log.open("a") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "tests.rig.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=env,
                cwd=Path(__file__).resolve().parents[2],
            )

    def stop(self) -> None:
        """End the process that forks workers."""
        if self._zygote is not None:
            self._abandon()
            assert self._zygote.stdin is not None
            self._zygote.stdin.close()
            self._zygote.wait(timeout=30)
            assert self._zygote.stdout is not None
            self._zygote.stdout.close()
            self._zygote = None

    # --- Putting back

    def put_back(self) -> None:
        """AWS is what it was at the start. Rows stay: those of other cases have ended."""
        self.mend()
        # What a failed case left must not let the next ones fail too: it ends as all do, and
        # workers that are at it find that it has.
        left = Grant.objects.live().exclude(
            request__requester=self.cast.charlie, revoked_at__isnull=True
        )
        with transaction.atomic():
            for grant in left.select_for_update(of=("self",)):
                lifecycle.note_phase(grant, Phase.ENDED, database_now(), remark="Left by a case.")
        self.control("load", self.base)
        AccountPair.objects.update(next_check_at=None)


@dataclass(frozen=True)
class Ending:
    """How a worker ended: its exit status, and how often it wrote to the database."""

    status: int
    writes: int


def fresh(grant: Grant) -> Grant:
    """The row as it is now."""
    return Grant.objects.with_parties().get(pk=grant.pk)


def arn_of(grant: Grant) -> str:
    """The issued role's ARN."""
    return f"arn:aws:iam::{TARGET}:role/sallyport/{grant.role_name}"


def end_of(grant: Grant) -> datetime:
    """AWS's policies know whole seconds."""
    return grant.ends_at.replace(microsecond=0)


# --- Making it -------------------------------------------------------------------------------


def _cast() -> Cast:
    source = AwsAccountFactory.create(account_id=SOURCE, name="Identity")
    target = AwsAccountFactory.create(account_id=TARGET, name="Workload")
    now = database_now()
    for account in (source, target):
        ConnectionCheckFactory.create(account=account, started_at=now, finished_at=now)
    people = {name: UserFactory.create(username=name) for name in ("alice", "bob", "charlie")}
    dana = UserFactory.create(username="dana", role=User.Role.ADMIN)
    pair = AccountPairFactory.create(source=source, target=target)
    offer = OfferFactory.create(
        pair=pair,
        profile=AccessProfileFactory.create(name="Security read-only"),
        max_duration=timedelta(days=7),
        eligible_users=[people["alice"], people["charlie"]],
        approver_users=[people["bob"]],
    )
    return Cast(people["alice"], people["bob"], people["charlie"], dana, pair, offer)


def link(person: User, account: AwsAccount, name: str) -> None:
    """Say that a person is this IAM user of AWS."""
    IamIdentityFactory.create(
        person=person,
        account=account,
        user_name=name,
        unique_id=world.unique_id(account.account_id, name),
    )


TRUST_ROOT: Final = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{TARGET}:root"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)


def _make_look_alikes() -> None:
    """Things that look like ours and are not: of another portal, or outside our path."""
    iam = administrator(TARGET)
    iam.create_role(
        Path="/sallyport/",
        RoleName="SecurityReadOnlyRole-userA-foreign",
        AssumeRolePolicyDocument=TRUST_ROOT,
        PermissionsBoundary=f"arn:aws:iam::{TARGET}:policy/SallyportBoundary",
        Tags=[
            {"Key": "sallyport:portal", "Value": "another installation"},
            {"Key": "sallyport:grant", "Value": "aaaaaaaaaaaa"},
        ],
    )
    iam.create_role(
        RoleName="SecurityReadOnlyRole-userA-elsewhere", AssumeRolePolicyDocument=TRUST_ROOT
    )
    iam.attach_role_policy(RoleName="SecurityReadOnlyRole-userA-elsewhere", PolicyArn=READ_ONLY)
    group = administrator(SOURCE)
    group.create_group(GroupName="switch-to-333333333333")
    group.add_user_to_group(GroupName="switch-to-333333333333", UserName="userA")


@contextmanager
def made(endpoint: str) -> Iterator[Rig]:
    """The rig, while the block lasts. Rows are left to the test's own cleaning up."""
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as patch,
        _settings(Path(folder)),
        movable_clock(),
    ):
        patch.setattr(standard.ExponentialBackoff, "delay_amount", lambda *_: 0)
        rig = _furnish(endpoint, Path(folder), patch)
        try:
            yield rig
        finally:
            rig.stop()
            rig.control("reset")


def _settings(folder: Path) -> Any:
    nobody = f"redis://127.0.0.1:{free_port()}/0"
    return override_settings(VAR_DIR=folder, CELERY_BROKER_URL=nobody)


def _furnish(endpoint: str, folder: Path, patch: pytest.MonkeyPatch) -> Rig:
    cast = _cast()
    rig = Rig(endpoint, cast, {}, folder / "worker.log")
    rig.control("reset")
    world.make_world([cast.pair.source, cast.pair.target])
    rig.portal = world.portal_environment()
    for name, value in rig.portal.items():
        patch.setenv(name, value)
    link(cast.alice, cast.pair.source, "userA")
    link(cast.charlie, cast.pair.source, "userC")
    _make_look_alikes()
    AccountPair.objects.update(next_check_at=database_now())
    switch_groups.prepare_pair(cast.pair.pk)
    rig.active(timedelta(days=7), cast.charlie)
    rig.base = rig.control("dump")
    return rig
