"""Reading an account as a whole, page by page: one call for up to a thousand objects.

GetAccountAuthorizationDetails shows everything but a role's longest session.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from provisioning.aws.errors import calling
from provisioning.core import naming
from provisioning.core.documents import Document
from provisioning.core.plan import FoundGroup, FoundRole

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

PAGE: Final = 1000
"""The most objects that AWS gives at once."""
UNSEEN: Final = 0
"""Stands for the longest session of a role, which this call does not show."""


@dataclass(frozen=True)
class ScannedUser:
    """An IAM user, and the groups they are in."""

    name: str
    unique_id: str
    groups: tuple[str, ...]


@dataclass(frozen=True)
class Page:
    """A part of an account: roles and groups under our path by name, and users who are in groups.

    `objects` counts all that AWS sent, ours or not.
    """

    roles: dict[str, FoundRole]
    groups: dict[str, FoundGroup]
    users: tuple[ScannedUser, ...]
    objects: int


def scan(iam: IAMClient) -> Iterator[Page]:
    """The account in pages. Nothing is kept between two of them. Raises AwsError."""
    paginator = iam.get_paginator("get_account_authorization_details")
    pages = iter(
        paginator.paginate(Filter=["User", "Group", "Role"], PaginationConfig={"PageSize": PAGE})
    )
    while True:
        with calling("iam:GetAccountAuthorizationDetails"):
            page = next(pages, None)
        if page is None:
            return
        yield _page(page)


def _page(page: Any) -> Page:
    roles, groups = page.get("RoleDetailList", []), page.get("GroupDetailList", [])
    users = page.get("UserDetailList", [])
    return Page(
        roles={one["RoleName"]: _role(one) for one in roles if _is_ours(one)},
        groups={one["GroupName"]: _group(one) for one in groups if _is_ours(one)},
        users=tuple(_user(one) for one in users if one.get("GroupList")),
        objects=len(roles) + len(groups) + len(users),
    )


def _is_ours(one: Any) -> bool:
    return bool(one["Path"].startswith(naming.PATH))


def _user(one: Any) -> ScannedUser:
    return ScannedUser(one["UserName"], one["UserId"], tuple(one["GroupList"]))


def _group(one: Any) -> FoundGroup:
    return FoundGroup(
        path=one["Path"],
        inline=_inline(one.get("GroupPolicyList", [])),
        managed=_managed(one),
    )


def _role(one: Any) -> FoundRole:
    boundary = one.get("PermissionsBoundary") or {}
    return FoundRole(
        path=one["Path"],
        trust=_document(one["AssumeRolePolicyDocument"]),
        boundary_arn=boundary.get("PermissionsBoundaryArn", ""),
        tags={tag["Key"]: tag["Value"] for tag in one.get("Tags", [])},
        max_session_seconds=UNSEEN,
        inline=_inline(one.get("RolePolicyList", [])),
        managed=_managed(one),
    )


def _inline(policies: Any) -> dict[str, Document]:
    return {one["PolicyName"]: _document(one["PolicyDocument"]) for one in policies}


def _managed(one: Any) -> tuple[str, ...]:
    return tuple(sorted(each["PolicyArn"] for each in one.get("AttachedManagedPolicies", [])))


def _document(value: Any) -> Document:
    """botocore decodes documents to dicts; anything else is not one that we could compare."""
    return dict(value) if isinstance(value, dict) else {"unreadable": str(value)}
