"""What is in the sandbox's AWS accounts at this moment, as their administrators see it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from accounts.aws_names import STS_REGION
from accounts.models import AwsAccount
from provisioning.aws.errors import AwsError, calling
from provisioning.core import naming, onboarding
from sandbox import world

BOUNDARY = f":policy/{onboarding.BOUNDARY_POLICY_NAME}"


@dataclass(frozen=True)
class Group:
    """An IAM group, with the names of its members and policies."""

    name: str
    is_ours: bool
    members: tuple[str, ...]
    policies: tuple[str, ...]


@dataclass(frozen=True)
class Role:
    """A role under Sallyport's path, with the end that its tag names and its policies."""

    name: str
    ends_at: datetime | None
    policies: tuple[str, ...]


@dataclass(frozen=True)
class Contents:
    """What an account holds, as far as it concerns the walk-through."""

    users: tuple[str, ...] = ()
    groups: tuple[Group, ...] = ()
    roles: tuple[Role, ...] = ()
    has_provisioner: bool = False
    has_boundary: bool = False

    @property
    def is_installed(self) -> bool:
        """Whether the account owner has deployed the template."""
        return self.has_provisioner and self.has_boundary


@dataclass(frozen=True)
class Account:
    """One AWS account of the sandbox; `registered` is its row in the portal's registry."""

    account_id: str
    name: str
    registered: AwsAccount | None
    contents: Contents
    problem: str = ""


def accounts() -> list[Account]:
    """All registered accounts, those of the world, and the portal's own."""
    registered = {one.account_id: one for one in AwsAccount.objects.all()}
    ids = {*registered, *world.ACCOUNT_NAMES, world.portal_account()}
    return [_account(one, registered.get(one)) for one in sorted(ids)]


def _account(account_id: str, registered: AwsAccount | None) -> Account:
    name = registered.name if registered else world.ACCOUNT_NAMES.get(account_id, "Portal")
    try:
        contents = _contents(account_id, registered)
    except AwsError as error:
        return Account(account_id, name, registered, Contents(), problem=str(error))
    return Account(account_id, name, registered, contents)


def _contents(account_id: str, registered: AwsAccount | None) -> Contents:
    region = registered.region if registered else STS_REGION[world.PARTITION]
    iam = world.administrator(account_id, region)
    found: dict[str, list[Any]] = {}
    with calling("iam:GetAccountAuthorizationDetails"):
        for page in iam.get_paginator("get_account_authorization_details").paginate():
            for kind, things in page.items():
                if isinstance(things, list):
                    found.setdefault(kind, []).extend(things)
    users, roles = found.get("UserDetailList", []), found.get("RoleDetailList", [])
    return Contents(
        users=tuple(sorted(user["UserName"] for user in users)),
        groups=tuple(_group(one, users) for one in found.get("GroupDetailList", [])),
        roles=tuple(_role(one) for one in roles if one["Path"].startswith(naming.PATH)),
        has_provisioner=any(one["RoleName"] == onboarding.PROVISIONER_ROLE_NAME for one in roles),
        has_boundary=any(one["Arn"].endswith(BOUNDARY) for one in found.get("Policies", [])),
    )


def _group(group: Any, users: Iterable[Any]) -> Group:
    name = group["GroupName"]
    members = (user["UserName"] for user in users if name in user.get("GroupList", []))
    return Group(
        name,
        group["Path"].startswith(naming.PATH),
        tuple(sorted(members)),
        _policies(group, "Group"),
    )


def _role(role: Any) -> Role:
    tags = {tag["Key"]: tag["Value"] for tag in role.get("Tags", [])}
    return Role(
        role["RoleName"], _moment(tags.get(naming.TAG_ENDS_AT, "")), _policies(role, "Role")
    )


def _moment(text: str) -> datetime | None:
    """What a tag says; somebody may have changed it by hand."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _policies(entity: Any, kind: str) -> tuple[str, ...]:
    attached = [one["PolicyName"] for one in entity.get("AttachedManagedPolicies", [])]
    inline = [one["PolicyName"] for one in entity.get(f"{kind}PolicyList", [])]
    return tuple(sorted(attached) + sorted(inline))
