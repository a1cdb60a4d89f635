"""IAM users that Sallyport creates: reading, making, giving a password to, and removing them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from provisioning.aws.errors import AwsError, Kind, calling
from provisioning.core import naming

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

PASSWORD_MINIMUM = 8
"""AWS's own where an account has no password policy."""


@dataclass(frozen=True)
class FoundUser:
    """An IAM user with all that says whose it is."""

    path: str
    arn: str
    unique_id: str
    boundary_arn: str
    tags: Mapping[str, str]


@dataclass(frozen=True)
class NewUser:
    """What a user is made with."""

    name: str
    boundary_arn: str
    tags: Mapping[str, str]


@contextmanager
def _gone_is_fine() -> Iterator[None]:
    """What is gone already counts as removed [8.5]."""
    try:
        yield
    except AwsError as error:
        if error.kind is not Kind.GONE:
            raise


def find(iam: IAMClient, name: str) -> FoundUser | None:
    """The user of a name, or None. Raises AwsError."""
    try:
        with calling("iam:GetUser"):
            user = iam.get_user(UserName=name)["User"]
    except AwsError as error:
        if error.kind is not Kind.GONE:
            raise
        return None
    return FoundUser(
        path=user["Path"],
        arn=user["Arn"],
        unique_id=user["UserId"],
        boundary_arn=user.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn", ""),
        tags={tag["Key"]: tag["Value"] for tag in user.get("Tags", [])},
    )


def create(iam: IAMClient, user: NewUser) -> None:
    """Make a user under our path, with boundary and tags in the one call. Raises AwsError."""
    with calling("iam:CreateUser"):
        iam.create_user(
            Path=naming.PATH,
            UserName=user.name,
            PermissionsBoundary=user.boundary_arn,
            Tags=[{"Key": key, "Value": value} for key, value in user.tags.items()],
        )


def attach(iam: IAMClient, name: str, policy_arn: str) -> None:
    """Attach a managed policy; doing it twice changes nothing more. Raises AwsError."""
    with calling("iam:AttachUserPolicy"):
        iam.attach_user_policy(UserName=name, PolicyArn=policy_arn)


def shortest_password(iam: IAMClient) -> int:
    """The length that the account's password policy demands. Raises AwsError."""
    try:
        with calling("iam:GetAccountPasswordPolicy"):
            policy = iam.get_account_password_policy()["PasswordPolicy"]
    except AwsError as error:
        if error.kind is not Kind.GONE:
            raise
        return PASSWORD_MINIMUM
    return int(policy.get("MinimumPasswordLength", PASSWORD_MINIMUM))


def set_password(iam: IAMClient, name: str, password: str) -> None:
    """Give a user a password that has to be changed at the first sign-in; the old one is dead.

    Raises AwsError, whose words never hold the password.
    """
    try:
        _set_password(iam, name, password)
    except AwsError as error:
        words = error.message.replace(password, "…")
        raise AwsError(
            error.kind,
            call=error.call,
            code=error.code,
            message=words,
            request_id=error.request_id,
        ) from None


def _set_password(iam: IAMClient, name: str, password: str) -> None:
    try:
        with calling("iam:CreateLoginProfile"):
            iam.create_login_profile(UserName=name, Password=password, PasswordResetRequired=True)
    except AwsError as error:
        if error.kind is not Kind.EXISTS:
            raise
        with calling("iam:UpdateLoginProfile"):
            iam.update_login_profile(UserName=name, Password=password, PasswordResetRequired=True)


def remove(iam: IAMClient, name: str) -> None:
    """Remove a user in AWS's order of deletion [8.3], sign-in first. Raises AwsError.

    A virtual MFA device stays in the account, belonging to nobody: its name is the person's
    choice, so no path fences it, and taking it away would need a right over everybody's.
    """
    with _gone_is_fine(), calling("iam:DeleteLoginProfile"):
        iam.delete_login_profile(UserName=name)
    _leave_groups(iam, name)
    _strip(iam, name)
    with _gone_is_fine(), calling("iam:DeleteUser"):
        iam.delete_user(UserName=name)


def _leave_groups(iam: IAMClient, name: str) -> None:
    """Groups of ours only: of any other the owner has to take the user out."""
    with calling("iam:ListGroupsForUser"):
        pages = iam.get_paginator("list_groups_for_user").paginate(UserName=name)
        groups = [group for page in pages for group in page["Groups"]]
    for group in groups:
        if group["Path"] == naming.PATH:
            with _gone_is_fine(), calling("iam:RemoveUserFromGroup"):
                iam.remove_user_from_group(GroupName=group["GroupName"], UserName=name)


def _strip(iam: IAMClient, name: str) -> None:
    with calling("iam:ListMFADevices"):
        devices = iam.list_mfa_devices(UserName=name)["MFADevices"]
    for device in devices:
        with _gone_is_fine(), calling("iam:DeactivateMFADevice"):
            iam.deactivate_mfa_device(UserName=name, SerialNumber=device["SerialNumber"])
    with calling("iam:ListUserPolicies"):
        inline = iam.list_user_policies(UserName=name)["PolicyNames"]
    for policy in inline:
        with _gone_is_fine(), calling("iam:DeleteUserPolicy"):
            iam.delete_user_policy(UserName=name, PolicyName=policy)
    with calling("iam:ListAttachedUserPolicies"):
        attached = iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]
    for one in attached:
        with _gone_is_fine(), calling("iam:DetachUserPolicy"):
            iam.detach_user_policy(UserName=name, PolicyArn=one["PolicyArn"])
