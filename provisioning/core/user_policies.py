"""What an account owner installs so that Sallyport may create IAM users, and only such users.

Two managed policies beside the boundary of roles, both outside `/sallyport/`, written by the owner
and not by us (docs/adr/0018). `SallyportUserBoundary` is the most that a created user can ever do;
`SallyportOwnCredentials`, attached to each, lets them look after their own password and MFA. AWS's
IAMUserChangePassword would not do: its resource has no path, so it does not match users of ours.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

from provisioning.core import naming
from provisioning.core.documents import VERSION, Document, dumps

USER_BOUNDARY_NAME: Final = "SallyportUserBoundary"
OWN_NAME: Final = "${aws:username}"
OWN_CREDENTIALS_NAME: Final = "SallyportOwnCredentials"


def user_arn(partition: str, account_id: str, name: str) -> str:
    """ARN of an IAM user that Sallyport creates."""
    return f"arn:{partition}:iam::{account_id}:user{naming.PATH}{name}"


def user_boundary_arn(partition: str, account_id: str) -> str:
    """ARN of the boundary of created users."""
    return f"arn:{partition}:iam::{account_id}:policy/{USER_BOUNDARY_NAME}"


def own_credentials_arn(partition: str, account_id: str) -> str:
    """ARN of the policy that created users carry."""
    return f"arn:{partition}:iam::{account_id}:policy/{OWN_CREDENTIALS_NAME}"


def user_boundary_policy(*, partition: str, account_id: str) -> Document:
    """The permissions boundary of created users: their own credentials, and entering issued roles.

    It grants nothing by itself: which targets they may enter, their switch groups say.
    """
    switch = naming.role_arn(partition, "*", "*")
    return _document(
        *_own_credentials(partition, account_id),
        _statement("Allow", "EnterIssuedRoles", switch, "sts:AssumeRole"),
    )


def own_credentials_policy(*, partition: str, account_id: str) -> Document:
    """What a created user may do on their own: change the password, look after their MFA.

    A device is taken off only in a session that used one, so that a stolen password alone
    cannot put another device in its place.
    """
    return _document(*_own_credentials(partition, account_id))


def judgeable(document: Document) -> Document:
    """A document with the one variable that ours use written as a name, on both sides of a review:
    `review_permissions` leaves whatever depends on a variable unjudged."""
    made: Document = json.loads(dumps(document).replace(OWN_NAME, "=the user's own name="))
    return made


def _own_credentials(partition: str, account_id: str) -> Iterator[Document]:
    own = user_arn(partition, account_id, OWN_NAME)
    devices = f"arn:{partition}:iam::{account_id}:mfa/*"
    with_mfa = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
    yield _statement(
        "Allow",
        "SeeRules",
        "*",
        "iam:GetAccountPasswordPolicy",
        "iam:ListVirtualMFADevices",
        "sts:GetCallerIdentity",
    )
    yield _statement(
        "Allow",
        "KeepOwnPasswordAndMfa",
        own,
        "iam:ChangePassword",
        "iam:EnableMFADevice",
        "iam:GetUser",
        "iam:ListMFADevices",
        "iam:ResyncMFADevice",
    )
    # A new device belongs to nobody yet, and people choose its name.
    yield _statement("Allow", "MakeMfaDevice", devices, "iam:CreateVirtualMFADevice")
    yield _statement(
        "Allow", "TakeOffMfaWithMfa", own, "iam:DeactivateMFADevice", condition=with_mfa
    )


def provisioner_allowances(*, partition: str, account_id: str) -> Iterator[Document]:
    """What the provisioner role may do more in an account where Sallyport may create IAM users."""
    users = user_arn(partition, account_id, "*")
    boundary = user_boundary_arn(partition, account_id)
    own = own_credentials_arn(partition, account_id)
    bounded = {"StringEquals": {"iam:PermissionsBoundary": boundary}}
    yield _statement(
        "Allow", "ReadUserPolicies", [boundary, own], "iam:GetPolicy", "iam:GetPolicyVersion"
    )
    yield _statement("Allow", "ReadPasswordPolicy", "*", "iam:GetAccountPasswordPolicy")
    yield _statement(
        "Allow", "CreateBoundedUsers", users, "iam:CreateUser", condition=dict(bounded)
    )
    yield _statement(
        "Allow",
        "AttachOwnCredentials",
        users,
        "iam:AttachUserPolicy",
        condition=bounded | {"ArnEquals": {"iam:PolicyARN": own}},
    )
    yield _statement(
        "Allow",
        "TagUsers",
        users,
        "iam:TagUser",
        condition={"ForAllValues:StringLike": {"aws:TagKeys": "sallyport:*"}},
    )
    # AWS has no condition on the boundary for passwords and for deletion [6.4]: the path fences.
    yield _statement(
        "Allow",
        "SetPasswordsAndRemoveUsers",
        users,
        "iam:CreateLoginProfile",
        "iam:DeactivateMFADevice",
        "iam:DeleteLoginProfile",
        "iam:DeleteUser",
        "iam:DeleteUserPolicy",
        "iam:DetachUserPolicy",
        "iam:ListAttachedUserPolicies",
        "iam:ListMFADevices",
        "iam:ListUserPolicies",
        "iam:UpdateLoginProfile",
    )


def provisioner_denials(*, partition: str, account_id: str) -> Iterator[Document]:
    """What stays forbidden there whatever else somebody attaches to the provisioner role."""
    policies = [
        user_boundary_arn(partition, account_id),
        own_credentials_arn(partition, account_id),
    ]
    yield _statement(
        "Deny",
        "KeepUserPolicies",
        policies,
        "iam:CreatePolicy",
        "iam:CreatePolicyVersion",
        "iam:DeletePolicy",
        "iam:DeletePolicyVersion",
        "iam:SetDefaultPolicyVersion",
        "iam:TagPolicy",
        "iam:UntagPolicy",
    )
    yield _statement(
        "Deny",
        "MakeNoKeys",
        "*",
        "iam:CreateAccessKey",
        "iam:CreateServiceSpecificCredential",
        "iam:PutUserPolicy",
        "iam:UpdateAccessKey",
        "iam:UpdateUser",
        "iam:UploadSSHPublicKey",
        "iam:UploadSigningCertificate",
    )


def session_policy(*, partition: str, account_id: str, name: str) -> Document:
    """What the portal's session for one created user may do: this user, no other.

    The first look at a user is allowed everywhere (docs/adr/0009). Whatever a group of ours holds
    may be left; entering one is the business of grants.
    """
    own = user_arn(partition, account_id, name)
    groups = naming.group_arn(partition, account_id, "*")
    return _document(
        _statement("Allow", "Look", "*", "iam:GetUser", "iam:GetAccountPasswordPolicy"),
        _statement(
            "Allow",
            "ThisUser",
            own,
            "iam:AttachUserPolicy",
            "iam:CreateUser",
            "iam:CreateLoginProfile",
            "iam:DeactivateMFADevice",
            "iam:DeleteLoginProfile",
            "iam:DeleteUser",
            "iam:DeleteUserPolicy",
            "iam:DetachUserPolicy",
            "iam:ListAttachedUserPolicies",
            "iam:ListGroupsForUser",
            "iam:ListMFADevices",
            "iam:ListUserPolicies",
            "iam:TagUser",
            "iam:UpdateLoginProfile",
        ),
        _statement("Allow", "LeaveGroups", groups, "iam:RemoveUserFromGroup"),
    )


def _document(*statements: Document) -> Document:
    return {"Version": VERSION, "Statement": list(statements)}


def _statement(
    effect: str,
    sid: str,
    resource: str | list[str],
    *names: str,
    condition: dict[str, Any] | None = None,
) -> Document:
    made: Document = {
        "Sid": sid,
        "Effect": effect,
        "Action": list(names),
        "Resource": resource,
    }
    return made | ({"Condition": condition} if condition else {})
