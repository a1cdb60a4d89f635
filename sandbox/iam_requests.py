"""What an IAM or STS request asks for: actions, resource ARNs and condition keys.

Follows the Service Authorization Reference for IAM and STS. Pure: who exists is asked through
`Directory`, so this file knows neither moto nor HTTP.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

Params = Mapping[str, str]
"""The request as sent: `RoleName`, `Tags.member.1.Key`, and so on."""

Keys = dict[str, str | tuple[str, ...]]

CODE = re.compile(r"\d{6}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Entity:
    """A user, group, role or policy that exists."""

    arn: str
    tags: Mapping[str, str] = field(default_factory=dict)
    boundary: str | None = None


class Directory(Protocol):
    """One account, as far as this file must see it."""

    @property
    def account(self) -> str:
        """Its number, twelve digits."""
        ...

    @property
    def partition(self) -> str:
        """`aws`, `aws-cn` and so on."""
        ...

    def find(self, kind: str, name: str) -> Entity | None:
        """Look up a "role", "user" or "group" by name, a "policy" or "principal" by ARN."""
        ...


@dataclass(frozen=True, slots=True)
class Check:
    """One permission that the caller needs; `shown` is the resource in AWS's message."""

    action: str
    resource: str
    keys: Keys
    shown: str


@dataclass(frozen=True, slots=True)
class Target:
    """How an action names its resource: the kind, the parameter, and whether it makes a new one."""

    kind: str
    parameter: str
    new: bool = False


def _targets(target: Target, actions: str) -> dict[str, Target]:
    return dict.fromkeys(actions.split(), target)


# Actions that are not here have no resource in the reference, and need Resource "*".
TARGETS: dict[str, Target] = {
    **_targets(Target("role", "RoleName", new=True), "CreateRole"),
    **_targets(
        Target("role", "RoleName"),
        "DeleteRole GetRole UpdateRole UpdateRoleDescription UpdateAssumeRolePolicy PutRolePolicy"
        " DeleteRolePolicy GetRolePolicy ListRolePolicies ListAttachedRolePolicies"
        " AttachRolePolicy DetachRolePolicy PutRolePermissionsBoundary"
        " DeleteRolePermissionsBoundary TagRole UntagRole ListRoleTags"
        " ListInstanceProfilesForRole DeleteServiceLinkedRole",
    ),
    **_targets(Target("group", "GroupName", new=True), "CreateGroup"),
    **_targets(
        Target("group", "GroupName"),
        "DeleteGroup GetGroup UpdateGroup AddUserToGroup RemoveUserFromGroup PutGroupPolicy"
        " DeleteGroupPolicy GetGroupPolicy ListGroupPolicies AttachGroupPolicy DetachGroupPolicy"
        " ListAttachedGroupPolicies",
    ),
    **_targets(Target("user", "UserName", new=True), "CreateUser"),
    **_targets(
        Target("user", "UserName"),
        "DeleteUser GetUser UpdateUser PutUserPolicy DeleteUserPolicy GetUserPolicy"
        " ListUserPolicies AttachUserPolicy DetachUserPolicy ListAttachedUserPolicies"
        " ListGroupsForUser CreateAccessKey UpdateAccessKey DeleteAccessKey ListAccessKeys"
        " CreateLoginProfile GetLoginProfile UpdateLoginProfile DeleteLoginProfile TagUser"
        " UntagUser ListUserTags PutUserPermissionsBoundary DeleteUserPermissionsBoundary"
        " EnableMFADevice DeactivateMFADevice ListMFADevices",
    ),
    **_targets(Target("policy", "PolicyName", new=True), "CreatePolicy"),
    **_targets(
        Target("policy", "PolicyArn"),
        "GetPolicy DeletePolicy CreatePolicyVersion DeletePolicyVersion GetPolicyVersion"
        " ListPolicyVersions SetDefaultPolicyVersion ListEntitiesForPolicy TagPolicy UntagPolicy"
        " ListPolicyTags",
    ),
    **_targets(
        Target("principal", "PolicySourceArn"),
        "SimulatePrincipalPolicy GetContextKeysForPrincipalPolicy",
    ),
    **_targets(
        Target("instance-profile", "InstanceProfileName", new=True),
        "CreateInstanceProfile DeleteInstanceProfile GetInstanceProfile"
        " AddRoleToInstanceProfile RemoveRoleFromInstanceProfile",
    ),
}

# "Condition keys" column of the reference, as of 2026. With CreateRole, CreateUser and the two
# Put...PermissionsBoundary the key is the boundary in the request; elsewhere the one in place.
BOUNDARY_IN_REQUEST = {
    "CreateRole",
    "CreateUser",
    "PutRolePermissionsBoundary",
    "PutUserPermissionsBoundary",
}
BOUNDARY_IN_PLACE = {
    "DeleteRole",
    "GetRole",
    "UpdateRole",
    "UpdateRoleDescription",
    "UpdateAssumeRolePolicy",
    "PutRolePolicy",
    "DeleteRolePolicy",
    "AttachRolePolicy",
    "DetachRolePolicy",
    "DeleteRolePermissionsBoundary",
    "PutUserPolicy",
    "DeleteUserPolicy",
    "AttachUserPolicy",
    "DetachUserPolicy",
    "DeleteUserPermissionsBoundary",
}
ALSO_TAGS = {"CreateRole": "TagRole", "CreateUser": "TagUser", "CreatePolicy": "TagPolicy"}
WITH_OWN_USER = {
    "GetUser",
    "CreateAccessKey",
    "UpdateAccessKey",
    "DeleteAccessKey",
    "ListAccessKeys",
}
"""Actions that mean the calling user where the request names none."""


def members(params: Params, name: str) -> Iterator[str]:
    """Yield the members of a list parameter: `TagKeys.member.1`, `TagKeys.member.2`, ..."""
    number = 1
    while (value := params.get(f"{name}.member.{number}")) is not None:
        yield value
        number += 1


def tags(params: Params) -> dict[str, str]:
    """The Tags of a request."""
    found, number = {}, 1
    while (key := params.get(f"Tags.member.{number}.Key")) is not None:
        found[key] = params.get(f"Tags.member.{number}.Value", "")
        number += 1
    return found


def iam_checks(action: str, params: Params, directory: Directory) -> list[Check]:
    """List every permission that an IAM call needs, the call's own first."""
    needed = [action]
    if action in ALSO_TAGS and tags(params):
        needed.append(ALSO_TAGS[action])
    checks = [_iam_check(name, action, params, directory) for name in needed]
    if action == "AddRoleToInstanceProfile":
        checks.append(_pass_role(params, directory))
    return checks


def subject(action: str, params: Params, directory: Directory) -> tuple[str, Mapping[str, str]]:
    """What an IAM call is about, as it is judged: an ARN, and the tags that stand there already."""
    check = _iam_check(action, action, params, directory)
    target = TARGETS.get(action)
    there = target and directory.find(target.kind, params.get(target.parameter, ""))
    if target and target.kind == "policy" and target.new:
        there = None
    return check.resource, dict(there.tags) if there else {}


def _iam_check(action: str, call: str, params: Params, directory: Directory) -> Check:
    target = TARGETS.get(call)
    keys: Keys = {"aws:ResourceAccount": directory.account, **_request_keys(action, params)}
    if target is None or target.parameter not in params:
        return Check(f"iam:{action}", "*", keys, "*")
    name = params[target.parameter]
    entity = None if target.new else directory.find(target.kind, name)
    keys |= _entity_keys(action, entity)
    if entity is not None:
        return Check(f"iam:{action}", entity.arn, keys, entity.arn)
    arn = _new_arn(target, name, params, directory)
    # AWS calls what it cannot find by kind and name: "on resource: role some-role". Its path is
    # unknown, so a permission that is limited to a path does not cover it.
    shown = arn if target.new or arn == name else f"{target.kind} {name}"
    return Check(f"iam:{action}", arn, keys, shown)


def _new_arn(target: Target, name: str, params: Params, directory: Directory) -> str:
    if target.parameter.endswith("Arn"):
        return name
    path = params.get("Path", "/") if target.new else "/"
    return f"arn:{directory.partition}:iam::{directory.account}:{target.kind}{path}{name}"


def _request_keys(action: str, params: Params) -> Keys:
    keys: Keys = {f"aws:RequestTag/{key}": value for key, value in tags(params).items()}
    tag_keys = (*tags(params), *members(params, "TagKeys"))
    if tag_keys:
        keys["aws:TagKeys"] = tag_keys
    if action in BOUNDARY_IN_REQUEST and "PermissionsBoundary" in params:
        keys["iam:PermissionsBoundary"] = params["PermissionsBoundary"]
    if action.startswith(("Attach", "Detach")) and "PolicyArn" in params:
        keys["iam:PolicyARN"] = params["PolicyArn"]
    if action == "CreateServiceLinkedRole" and "AWSServiceName" in params:
        keys["iam:AWSServiceName"] = params["AWSServiceName"]
    return keys


def _entity_keys(action: str, entity: Entity | None) -> Keys:
    if entity is None:
        return {}
    keys: Keys = {}
    for key, value in entity.tags.items():
        keys[f"aws:ResourceTag/{key}"] = keys[f"iam:ResourceTag/{key}"] = value
    if action in BOUNDARY_IN_PLACE and entity.boundary:
        keys["iam:PermissionsBoundary"] = entity.boundary
    return keys


def _pass_role(params: Params, directory: Directory) -> Check:
    name = params.get("RoleName", "")
    role = directory.find("role", name)
    arn = role.arn if role else f"arn:{directory.partition}:iam::{directory.account}:role/{name}"
    keys: Keys = {"iam:PassedToService": "ec2.amazonaws.com"}
    return Check("iam:PassRole", arn, keys, arn)


def assume_role_checks(params: Params, role_tags: Mapping[str, str]) -> list[Check]:
    """List what AssumeRole needs, from the role's trust policy and from the caller alike."""
    arn = params["RoleArn"]
    keys: Keys = {"sts:RoleSessionName": params["RoleSessionName"], **_request_keys("", params)}
    for parameter in ("ExternalId", "SourceIdentity"):
        if parameter in params:
            keys[f"sts:{parameter}"] = params[parameter]
    for key, value in role_tags.items():
        keys[f"aws:ResourceTag/{key}"] = keys[f"iam:ResourceTag/{key}"] = value
    if transitive := tuple(members(params, "TransitiveTagKeys")):
        keys["sts:TransitiveTagKeys"] = transitive
    if has_mfa(params):
        keys |= {"aws:MultiFactorAuthPresent": "true", "aws:MultiFactorAuthAge": "0"}
    return [Check(f"sts:{action}", arn, keys, arn) for action in _assume_role_actions(params)]


def _assume_role_actions(params: Params) -> list[str]:
    actions = ["AssumeRole"]
    if tags(params):
        actions.append("TagSession")
    if "SourceIdentity" in params:
        actions.append("SetSourceIdentity")
    return actions


def has_mfa(params: Params) -> bool:
    """Say whether the call shows a second factor. In the sandbox any six digits will do."""
    return bool(params.get("SerialNumber")) and bool(CODE.fullmatch(params.get("TokenCode", "")))
