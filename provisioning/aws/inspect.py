"""Reading the provisioner role and the boundary that an account owner installed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from provisioning.aws.errors import AwsError, calling
from provisioning.core.documents import Document

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient


@dataclass(frozen=True)
class InstalledRole:
    """The provisioner role as AWS shows it: its trust policy and all its permissions.

    A policy that may not be read stands as an empty document, which a review counts as extra.
    """

    trust: Document
    policies: tuple[Document, ...]


def installed_role(iam: IAMClient, name: str) -> InstalledRole:
    """Read the role that the session itself came through. Raises AwsError."""
    with calling("iam:GetRole"):
        trust = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    with calling("iam:ListRolePolicies"):
        pages = iam.get_paginator("list_role_policies").paginate(RoleName=name)
        inline = [one for page in pages for one in page["PolicyNames"]]
    with calling("iam:GetRolePolicy"):
        own = [
            iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
            for policy in inline
        ]
    with calling("iam:ListAttachedRolePolicies"):
        found = iam.get_paginator("list_attached_role_policies").paginate(RoleName=name)
        attached = [one for page in found for one in page["AttachedPolicies"]]
    managed = [_managed_or_empty(iam, one["PolicyArn"]) for one in attached]
    return InstalledRole(trust=_dict(trust), policies=(*map(_dict, own), *managed))


def managed_policy(iam: IAMClient, arn: str) -> Document:
    """The default version of a managed policy. Raises AwsError."""
    with calling("iam:GetPolicy"):
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    with calling("iam:GetPolicyVersion"):
        answer = iam.get_policy_version(PolicyArn=arn, VersionId=version)
    return _dict(answer["PolicyVersion"]["Document"])


def _managed_or_empty(iam: IAMClient, arn: str) -> Document:
    try:
        return managed_policy(iam, arn)
    except AwsError:
        return {}


def _dict(value: object) -> Document:
    return dict(value) if isinstance(value, dict) else {}
