"""Both accounts as AWS holds them, read back and judged without the product's own code."""

import json
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pytest_django.fixtures import Settings

from accounts.models import AwsAccount, IamIdentity, Offer, User
from provisioning import services, specs
from provisioning.aws.clients import Credentials
from provisioning.aws.errors import AwsError, calling
from provisioning.core.plan import fingerprint
from provisioning.models import AccessRequest, Decision, Grant
from sandbox import world

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient


@dataclass(frozen=True)
class Aws:
    """The server that stands for AWS, from the outside: reset, clock, state, people's own keys."""

    endpoint: str

    def control(self, path: str, body: Any = None) -> Any:
        """Call one of the server's own addresses."""
        request = urllib.request.Request(  # noqa: S310  # The endpoint is this machine's.
            f"{self.endpoint}/sandbox-api/{path}",
            data=None if body is None else json.dumps(body).encode(),
            method="POST",
            headers={"X-Sandbox-Control": "yes", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  # As above.
            return json.load(answer)

    def clock_ahead(self, by: timedelta) -> None:
        """Put AWS's clock ahead of ours."""
        self.control(f"clock?offset={by.total_seconds()}")

    def admin(self, account_id: str) -> "IAMClient":
        """IAM as an account's administrator sees it."""
        return world.administrator(account_id)

    def issued_roles(self, account_id: str) -> list[str]:
        """Names of all roles under our path."""
        pages = (
            self.admin(account_id).get_paginator("list_roles").paginate(PathPrefix="/sallyport/")
        )
        return [role["RoleName"] for page in pages for role in page["Roles"]]

    def groups_of(self, account_id: str, user: str) -> set[str]:
        """Names of the groups of an IAM user."""
        answer = self.admin(account_id).list_groups_for_user(UserName=user)
        return {group["GroupName"] for group in answer["Groups"]}

    def enter(
        self, user: str, role_arn: str, *, home: str = "111111111111", mfa: bool = True
    ) -> Any:
        """AssumeRole with a person's own keys, as the console does. Raises AwsError."""
        person = world.iam_user(home, user)
        assert person is not None
        sts = world.client("sts", person.credentials, person.region)
        extra = {"SerialNumber": person.mfa_serial, "TokenCode": "123456"} if mfa else {}
        with calling("sts:AssumeRole"):
            return sts.assume_role(RoleArn=role_arn, RoleSessionName=user, **extra)

    def reads(self, session: Any) -> None:
        """A harmless read with a role session's credentials. Raises AwsError."""
        keys = session["Credentials"]
        credentials = Credentials(
            keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"]
        )
        with calling("iam:ListRoles"):
            world.client("iam", credentials, "us-east-1").list_roles()


@dataclass(frozen=True)
class World:
    """What a server and a folder held once everything was made: made once, then put back."""

    state: Any
    files: Mapping[str, str]

    @classmethod
    def of(cls, server: Aws, folder: Path) -> "World":
        """As it is now."""
        files = {one.name: one.read_text() for one in folder.iterdir() if one.is_file()}
        return cls(server.control("dump"), files)

    def put_back(self, server: Aws, folder: Path) -> None:
        """Make server and folder so again."""
        server.control("load", self.state)
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in self.files.items():
            world.write_private(folder / name, json.loads(text))


_WORLDS: dict[tuple[str, ...], World] = {}
"""By server and accounts. Making a world takes thirty calls, and hundreds of tests want one."""


def _make_world(server: Aws, accounts: list[AwsAccount], folder: Path) -> None:
    key = (server.endpoint, *(one.external_id for one in accounts))
    if key in _WORLDS:
        _WORLDS[key].put_back(server, folder)
        return
    world.make_world(accounts)
    _WORLDS[key] = World.of(server, folder)


@pytest.fixture
def aws(
    aws_endpoint: str,
    source: AwsAccount,
    target: AwsAccount,
    tmp_path: Path,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> Aws:
    """A new world: both accounts with their people, the provisioner roles and the boundaries."""
    server = Aws(aws_endpoint)
    server.control("reset")
    server.control("clock?offset=0")
    settings.VAR_DIR = tmp_path
    _make_world(server, [source, target], tmp_path)
    for name, value in world.portal_environment().items():
        monkeypatch.setenv(name, value)
    return server


@pytest.fixture
def scene(aws: Aws, alice: User, offer: Offer, source: AwsAccount) -> Offer:
    """The offer, with alice's identity bound to the IAM user that AWS has."""
    unique_id = world.unique_id("111111111111", "userA")
    IamIdentity.objects.filter(person=alice, account=source).update(unique_id=unique_id)
    return offer


type Approved = Callable[..., Grant]


def decide(request: AccessRequest, approver: User) -> Grant | None:
    """Approve what the page would show, perhaps as the first of two."""
    return services.decide(
        approver=approver,
        request=request,
        verdict=Decision.Verdict.APPROVED,
        fingerprint=fingerprint(specs.spec_for_request(request)),
    )


def approve(request: AccessRequest, approver: User) -> Grant:
    """The approval after which nothing is missing."""
    grant = decide(request, approver)
    assert grant is not None
    return grant


@pytest.fixture
def approved(scene: Offer, alice: User, bob: User) -> Approved:
    """Makes approved grants of alice's, by everybody who approves where the offer needs two."""

    def make(minutes: int = 30) -> Grant:
        request = services.request_access(
            requester=alice,
            offer=scene,
            duration=timedelta(minutes=minutes),
            reason="Look at the findings.",
        )
        if scene.approvals_needed > 1:
            for other in scene.approvers().exclude(pk=bob.pk)[: scene.approvals_needed - 1]:
                decide(request, other)
        return approve(request, bob)

    return make


def refused_code(attempt: Callable[[], object]) -> str:
    """The error code with which AWS refuses."""
    with pytest.raises(AwsError) as caught:
        attempt()
    return caught.value.code


def only_statement(document: Any) -> Any:
    """The statement of a document that has just one."""
    (statement,) = document["Statement"]
    return statement
