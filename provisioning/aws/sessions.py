"""STS sessions: one for each operation and account, never kept, never shared.

The portal's own identity (environment, task role or instance role) is used here and only here,
for one call: AssumeRole on a registered provisioner role. Everything else takes the credentials
of one `AccountSession` (docs/adr/0006, 0008, 0011).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from provisioning.aws.clients import Credentials, Lent, Tally, lend
from provisioning.aws.errors import AwsError, Kind, calling
from provisioning.core.documents import Document, dumps

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_sts import STSClient

SESSION_SECONDS: Final = 900
"""Fifteen minutes, the shortest that STS gives [AWS-FACTS 3.8]."""


@dataclass(frozen=True)
class Provisioner:
    """A registered provisioner role and how to enter it."""

    account_id: str
    region: str
    role_arn: str
    external_id: str


@dataclass(frozen=True)
class AccountSession:
    """A session in one account, proved to be that account.

    Use it in a `with` statement: its clients go back without their keys when the operation is
    over. One that is never closed only leaves its clients to the garbage collector.
    """

    account_id: str
    region: str
    credentials: Credentials
    _lent: list[Lent] = field(default_factory=list, repr=False, compare=False)

    @property
    def client(self) -> IAMClient:
        """The session's one IAM client: made when it is first asked for."""
        client: IAMClient = self._lent[0].client if self._lent else self._lend("iam")
        return client

    def iam(self) -> IAMClient:
        """An IAM client that can be nobody but this session."""
        client: IAMClient = self._lend("iam")
        return client

    def sts(self) -> STSClient:
        """An STS client that can be nobody but this session."""
        client: STSClient = self._lend("sts")
        return client

    def _lend(self, service: str) -> Any:
        self._lent.append(lend(service, self.region, self.credentials))
        return self._lent[-1].client

    @property
    def tally(self) -> Tally:
        """What the session has cost so far, AssumeRole not counted."""
        tallies = [one.tally for one in self._lent]
        return Tally(sum(one.sent for one in tallies), sum(one.throttled for one in tallies))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Give all clients back, without their keys."""
        for one in self._lent:
            one.give_back()


def assume(
    provisioner: Provisioner,
    *,
    session_name: str,
    policy: Document | None = None,
    external_id: str | None = None,
    send_external_id: bool = True,
) -> AccountSession:
    """Enter a provisioner role for one operation.

    `policy` narrows the session to one grant's objects. `external_id` and `send_external_id` are
    for *Check connection*, which proves that a wrong and a missing one are refused. Raises
    AwsError, also when AWS answers with a session in another account than the registered one.
    """
    request: dict[str, Any] = {
        "RoleArn": provisioner.role_arn,
        "RoleSessionName": session_name[:64],
        "DurationSeconds": SESSION_SECONDS,
    }
    if send_external_id:
        request["ExternalId"] = external_id or provisioner.external_id
    if policy is not None:
        request["Policy"] = dumps(policy)
    with calling("sts:AssumeRole"), lend("sts", provisioner.region, None) as portal:
        answer = portal.assume_role(**request)
    return _session(provisioner, answer["Credentials"], answer["AssumedRoleUser"]["Arn"])


def _session(provisioner: Provisioner, keys: Any, arn: str) -> AccountSession:
    account_id = arn.split(":")[4]
    if account_id != provisioner.account_id:
        raise AwsError(
            Kind.PERMANENT,
            call="sts:AssumeRole",
            code="WrongAccount",
            message=f"The session is in account {account_id}, not in {provisioner.account_id}.",
        )
    credentials = Credentials(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    return AccountSession(account_id, provisioner.region, credentials)
