"""The rows and the AWS objects that measures work on: one pair, one offer, and as many people as
there are grants, so that each is a later grant of its pair and none shares a user with another."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from threading import Barrier, Thread
from typing import Any, Final

from django.db import connection

from accounts.models import AccountPair, AwsAccount, Offer, User
from audit.clock import database_now
from bench.server import Control
from provisioning import lifecycle, services
from provisioning.core import plan
from provisioning.engine.switch_groups import prepare_pair
from provisioning.models import AccessRequest, Decision, Grant
from provisioning.specs import spec_for_grant, spec_for_request
from tests.factories import (
    AccessProfileFactory,
    AccessRequestFactory,
    AccountPairFactory,
    AwsAccountFactory,
    GrantFactory,
    IamIdentityFactory,
    OfferFactory,
    UserFactory,
)

HALF_AN_HOUR: Final = timedelta(minutes=30)
_numbers = count(1)


class NotAsWanted(Exception):
    """What a measured run left behind is not what it should have: its figure means nothing."""


@dataclass(frozen=True)
class Shown:
    """A request, and the plan of it that its approver has before their eyes."""

    request: AccessRequest
    fingerprint: str


@dataclass
class World:
    """One pair of accounts with its offer, in the database and in AWS."""

    aws: Control
    source: AwsAccount
    target: AwsAccount
    pair: AccountPair
    offer: Offer
    approver: User

    # --- Grants ---

    def requests(self, number: int, duration: timedelta = HALF_AN_HOUR) -> list[AccessRequest]:
        """Pending requests, each by a new person with an IAM user of their own."""
        made = []
        users = []
        for _ in range(number):
            name = f"user{next(_numbers):06}"
            person = UserFactory.create(username=name)
            self.offer.eligible_users.add(person)
            identity = IamIdentityFactory.create(person=person, account=self.source, user_name=name)
            users.append({"name": name, "id": identity.unique_id})
            made.append(
                AccessRequestFactory.create(
                    requester=person, identity=identity, offer=self.offer, duration=duration
                )
            )
        self.aws.fill(account=self.source.account_id, users=users)
        return made

    def grants(self, number: int, duration: timedelta = HALF_AN_HOUR) -> list[Grant]:
        """Approved grants that no worker has looked at, and no message has gone out for."""
        return [self._grant(request) for request in self.requests(number, duration)]

    def _grant(self, request: AccessRequest) -> Grant:
        AccessRequest.objects.filter(pk=request.pk).update(state="approved")
        request.refresh_from_db()
        grant: Grant = GrantFactory.create(
            request=request,
            approver=self.approver,
            fingerprint=plan.fingerprint(spec_for_request(request)),
        )
        return grant

    def shown(self, number: int) -> list[Shown]:
        """Requests whose pages an approver has before their eyes."""
        return [
            Shown(one, plan.fingerprint(spec_for_request(one))) for one in self.requests(number)
        ]

    def approve(self, shown: Shown) -> Grant:
        """The approver's click: the service, its commit and its nudge.

        Raises NotAsWanted when it gives nothing.
        """
        grant = services.decide(
            approver=self.approver,
            request=shown.request,
            verdict=Decision.Verdict.APPROVED,
            fingerprint=shown.fingerprint,
        )
        if grant is None:
            raise NotAsWanted("The click was not enough.")
        return grant

    def revoke(self, grant: Grant) -> None:
        """What a revocation stores; no message goes out."""
        lifecycle.revoke(
            grant, actor="bench", sentence="Revoked.", reason="bench", now=database_now()
        )
        grant.refresh_from_db()

    # --- Proof ---

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Both accounts as AWS has them."""
        one, two = (self.aws.state(account.account_id) for account in (self.source, self.target))
        return one, two

    def check(self, grants: Iterable[Grant], *, exist: bool) -> None:
        """Raise NotAsWanted unless AWS and the rows agree that all of these exist, or none."""
        source, target = self.state()
        for grant in grants:
            grant.refresh_from_db()
            role = target["roles"].get(grant.role_name)
            member = self.pair.switch_group in source["users"][grant.identity.user_name]
            there = member and _is_as_wanted(grant, role)
            gone = not member and role is None
            if grant.phase != ("active" if exist else "ended") or not (there if exist else gone):
                message = f"{grant} is {grant.phase}: {grant.last_error}; in AWS: {member} {role}"
                raise NotAsWanted(message)

    def trust_ends(self, grants: Iterable[Grant]) -> list[tuple[datetime, datetime]]:
        """For each grant its end, and the end that its role's trust policy states in AWS."""
        roles = self.aws.state(self.target.account_id)["roles"]
        return [(grant.ends_at, _date(roles[grant.role_name]["trust"])) for grant in grants]


def _is_as_wanted(grant: Grant, role: dict[str, Any] | None) -> bool:
    wanted = plan.desired(spec_for_grant(grant), database_now()).role
    return (
        role is not None
        and wanted is not None
        and role["trust"] == wanted.trust
        and role["boundary"] == wanted.boundary_arn
        and role["inline"] == wanted.inline
        and role["managed"] == sorted(wanted.managed)
    )


def _date(trust: Any) -> datetime:
    return datetime.fromisoformat(
        trust["Statement"][0]["Condition"]["DateLessThan"]["aws:CurrentTime"]
    )


def make(aws: Control, *, prepared: bool = True) -> World:
    """A new pair with accounts of its own; a prepared one has its switch group in AWS already, as
    a worker makes it when an admin registers the pair."""
    first = next(_numbers)
    source, target = (
        AwsAccountFactory.create(account_id=f"{number:012}", name=f"Bench {number}")
        for number in (410_000_000_000 + first, 420_000_000_000 + first)
    )
    pair = AccountPairFactory.create(source=source, target=target)
    approver = UserFactory.create(username=f"approver{first}")
    offer = OfferFactory.create(
        pair=pair, profile=AccessProfileFactory.create(), approver_users=[approver]
    )
    if prepared:
        prepare_pair(pair.pk)
    return World(aws, source, target, pair, offer, approver)


def in_parallel(work: Callable[[int], object], keys: Iterable[int], threads: int) -> float:
    """The same work on many rows, in threads with a warm connection each. Seconds of the work."""
    waiting = deque(keys)
    together = Barrier(threads + 1)
    failures: list[BaseException] = []

    def run() -> None:
        try:
            connection.ensure_connection()
            together.wait()
            with suppress(IndexError):
                while True:
                    work(waiting.popleft())
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    workers = [Thread(target=run) for _ in range(threads)]
    for one in workers:
        one.start()
    together.wait()
    began = time.monotonic()
    for one in workers:
        one.join()
    seconds = time.monotonic() - began
    if failures:
        raise failures[0]
    return seconds


@contextmanager
def latency(aws: Control, ms: float) -> Iterator[None]:
    """Calls take this long while the block lasts."""
    aws.latency(ms)
    try:
        yield
    finally:
        aws.latency(0)
