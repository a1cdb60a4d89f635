"""STS sessions: one for each operation and account, never kept, never shared.

The portal's own identity (environment, task role or instance role) is used here and only here,
for one call: AssumeRole on a registered provisioner role. Everything else takes the credentials
of one `AccountSession` (docs/adr/0006, 0008).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import botocore.session
from boto3 import Session
from botocore.config import Config

from provisioning.aws.errors import AwsError, Kind, calling
from provisioning.core.documents import Document, dumps

if TYPE_CHECKING:
    from botocore.loaders import Loader
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_sts import STSClient

SESSION_SECONDS: Final = 900
"""Fifteen minutes, the shortest that STS gives [AWS-FACTS 3.8]."""

CONFIG: Final = Config(
    retries={"mode": "standard", "total_max_attempts": 3},
    connect_timeout=5,
    read_timeout=20,
    user_agent_extra="sallyport",
)
"""Stated, because the defaults are legacy retries and minute-long waits [7.4]. STS endpoints are
regional by default now [7.10]."""


@dataclass(frozen=True)
class Credentials:
    """Keys of one identity. They live inside one call and are never printed."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Provisioner:
    """A registered provisioner role and how to enter it."""

    account_id: str
    region: str
    role_arn: str
    external_id: str


@dataclass(frozen=True)
class AccountSession:
    """A session in one account, proved to be that account."""

    account_id: str
    region: str
    credentials: Credentials

    def iam(self) -> IAMClient:
        """An IAM client that can be nobody but this session."""
        client: IAMClient = client_for("iam", self.credentials, self.region)
        return client

    def sts(self) -> STSClient:
        """An STS client that can be nobody but this session."""
        client: STSClient = client_for("sts", self.credentials, self.region)
        return client


@cache
def _loader() -> Loader:
    """Service models, parsed once a process: they are most of what a client costs. They hold no
    credentials, unlike a session or a client, of which none is kept."""
    loader: Loader = botocore.session.get_session().get_component("data_loader")
    return loader


def _botocore_session() -> botocore.session.Session:
    session = botocore.session.Session()
    session.register_component("data_loader", _loader())
    return session


def client_for(service: str, credentials: Credentials | None, region: str) -> Any:
    """A client with explicit credentials; None means the portal's own identity.

    botocore resolves the endpoint: IAM hosts differ by partition [7.8].
    """
    session = Session(botocore_session=_botocore_session())
    keys = (
        {}
        if credentials is None
        else {
            "aws_access_key_id": credentials.access_key_id,
            "aws_secret_access_key": credentials.secret_access_key,
            "aws_session_token": credentials.session_token,
        }
    )
    return session.client(service, region_name=region, config=CONFIG, **keys)  # type: ignore[call-overload]  # the service is a variable here


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
    with calling("sts:AssumeRole"):
        portal: STSClient = client_for("sts", None, provisioner.region)
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
