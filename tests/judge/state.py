"""What stands in IAM, read back through its API, in a form that the judge can weigh.

Only what decides about access: principals with their unique ids, policies, boundaries, trust.
Nothing of the product is used here, and nothing of the sandbox but its clients.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

type Document = Mapping[str, Any]

FILTERS: tuple[Literal["User", "Role", "Group", "LocalManagedPolicy"], ...] = (
    "User",
    "Role",
    "Group",
    "LocalManagedPolicy",
)

NOTHING: Document = {"Version": "2012-10-17", "Statement": []}
"""Allows nothing: what a boundary amounts to whose policy is gone."""


@dataclass(frozen=True)
class Principal:
    """An IAM user or role. `policies` are its own and its groups'."""

    arn: str
    unique_id: str
    policies: tuple[Document, ...] = ()
    boundary: Document | None = None
    trust: Document | None = None
    tags: tuple[tuple[str, str], ...] = ()

    @property
    def account_id(self) -> str:
        """The account that it lives in."""
        return self.arn.split(":")[4]

    @property
    def partition(self) -> str:
        """The partition of that account."""
        return self.arn.split(":")[1]

    @property
    def is_user(self) -> bool:
        """Whether this is an IAM user; otherwise it is a role."""
        return self.arn.split(":")[5].startswith("user/")

    @property
    def name(self) -> str:
        """Its name without the path."""
        return self.arn.rpartition("/")[2]


@dataclass(frozen=True)
class State:
    """All principals of some accounts at one moment."""

    principals: tuple[Principal, ...]
    accounts: frozenset[str] = field(default=frozenset())

    def find(self, arn_or_id: str) -> Principal | None:
        """The living principal of this ARN or unique id. ARNs are case-sensitive."""
        wanted = (one for one in self.principals if arn_or_id in {one.arn, one.unique_id})
        return next(wanted, None)

    def knows(self, account_id: str) -> bool:
        """Whether this account was read."""
        return account_id in self.accounts or any(
            one.account_id == account_id for one in self.principals
        )


def read_state(clients: Mapping[str, "IAMClient"]) -> State:
    """Read whole accounts, by account id, with their administrators' clients."""
    found = [one for client in clients.values() for one in _read_account(client)]
    return State(tuple(found), frozenset(clients))


def _read_account(client: "IAMClient") -> Iterable[Principal]:
    pages = list(
        client.get_paginator("get_account_authorization_details").paginate(Filter=list(FILTERS))
    )
    local = {
        policy["Arn"]: _default_version(policy) for page in pages for policy in page["Policies"]
    }
    known: dict[str, Document] = dict(local)

    def managed(arn: str) -> Document:
        if arn not in known:
            known[arn] = _read_managed(client, arn)
        return known[arn]

    groups = {
        group["GroupName"]: _policies(group, "GroupPolicyList", managed)
        for page in pages
        for group in page["GroupDetailList"]
    }
    for page in pages:
        for user in page["UserDetailList"]:
            names = user.get("GroupList", [])
            inherited = tuple(policy for name in names for policy in groups[name])
            own = _policies(user, "UserPolicyList", managed)
            # Whether a user or role has a boundary is told for certain only by the single read.
            single = client.get_user(UserName=user["UserName"])["User"]
            yield Principal(
                user["Arn"],
                user["UserId"],
                own + inherited,
                boundary=_boundary(single, local, managed),
                tags=_tags(single),
            )
        for role in page["RoleDetailList"]:
            entity = client.get_role(RoleName=role["RoleName"])["Role"]
            yield Principal(
                role["Arn"],
                role["RoleId"],
                _policies(role, "RolePolicyList", managed),
                boundary=_boundary(entity, local, managed),
                trust=_document(entity["AssumeRolePolicyDocument"]),
                tags=_tags(entity),
            )


def _policies(detail: Any, inline: str, managed: Callable[[str], Document]) -> tuple[Document, ...]:
    own = [_document(one["PolicyDocument"]) for one in detail.get(inline, [])]
    attached = [managed(one["PolicyArn"]) for one in detail.get("AttachedManagedPolicies", [])]
    return (*own, *attached)


def _boundary(
    entity: Any, local: Mapping[str, Document], managed: Callable[[str], Document]
) -> Document | None:
    arn = entity.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
    if arn is None:
        return None
    if ":iam::aws:" not in arn and arn not in local:
        return NOTHING
    return managed(arn)


def _tags(entity: Any) -> tuple[tuple[str, str], ...]:
    return tuple((tag["Key"], tag["Value"]) for tag in entity.get("Tags", []))


def _default_version(policy: Any) -> Document:
    (version,) = [one for one in policy["PolicyVersionList"] if one["IsDefaultVersion"]]
    return _document(version["Document"])


_AWS_MANAGED: dict[str, Document] = {}
"""AWS's own policies, read once a run: they are large, and nobody changes them meanwhile."""


def _read_managed(client: "IAMClient", arn: str) -> Document:
    if arn not in _AWS_MANAGED:
        _AWS_MANAGED[arn] = _read_version(client, arn)
    return _AWS_MANAGED[arn]


def _read_version(client: "IAMClient", arn: str) -> Document:
    version = client.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    answer = client.get_policy_version(PolicyArn=arn, VersionId=version)
    return _document(answer["PolicyVersion"]["Document"])


def _document(value: Any) -> Document:
    """botocore decodes most documents, but leaves some as text."""
    document: Document = json.loads(value) if isinstance(value, str) else value
    return document
