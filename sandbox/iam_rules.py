"""The rules of IAM that moto lacks: quotas, name clashes, order of deletion, documents.

Each rule is a small function that looks at one call before moto gets it and raises AwsError, or
does nothing. `RULES` says which rules hold for which action.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from moto.core.exceptions import ServiceException
from moto.iam.policy_validation import IAMPolicyDocumentValidator, IAMTrustPolicyDocumentValidator

from sandbox.aws_errors import AwsError, limit_exceeded, malformed, no_such_entity
from sandbox.evaluation import Malformed, as_list, load_document
from sandbox.iam_requests import tags
from sandbox.iam_store import (
    Backend,
    Document,
    backend_of,
    backends,
    default_document,
    map_principals,
    tag_map,
)

# Quotas as AWS sets them in a new account (IAM User Guide, "IAM and AWS STS quotas").
# POST /sandbox-api/quota gives one account another value for those that AWS names a quota.
PER_ACCOUNT = {"Role": 1000, "Group": 300, "User": 5000, "Policy": 1500}
INLINE_TOTAL = {"user": 2048, "group": 5120, "role": 10240}
MANAGED_POLICY_SIZE = 6144
TRUST_POLICY_SIZE = 2048
SESSION_POLICY_SIZE = 2048
GROUPS_PER_USER = 10
ATTACHED_PER_ENTITY = 10
TAGS_PER_ENTITY = 50


@dataclass(frozen=True, slots=True)
class Call:
    """One IAM call that its caller is allowed to make."""

    action: str
    params: Mapping[str, str]
    account: Backend

    def entity(self, kind: str) -> Any:
        """The user, group or role that the call names, or None."""
        name = self.params.get(f"{kind.title()}Name", "")
        return self.account.named(kind).get(name)


Rule = Callable[[Call], None]


# Names ------------------------------------------------------------------------------------


def _free(kind: str, parameter: str) -> Rule:
    """Names are unique in an account whatever their case and path."""

    def rule(call: Call) -> None:
        name = call.params.get(parameter, "")
        own = call.params.get(f"{kind.title()}Name", "") if parameter.startswith("New") else ""
        _refuse_taken(kind.title(), name, own, call.account.named(kind))

    return rule


def _policy_name_is_free(call: Call) -> None:
    names = [policy.name for policy in call.account.managed_policies.own()]
    _refuse_taken("Policy", call.params["PolicyName"], "", names)


def _refuse_taken(what: str, name: str, own: str, taken: Iterable[str]) -> None:
    if name and name.lower() in {other.lower() for other in taken if other != own}:
        raise AwsError("EntityAlreadyExists", f"{what} with name {name} already exists.", 409)


def _room(kind: str) -> Rule:
    def rule(call: Call) -> None:
        account = call.account
        counts = {
            "Role": len(account.roles),
            "Group": len(account.groups),
            "User": len(account.users),
            "Policy": len(account.managed_policies.own()),
        }
        plural = "Policies" if kind == "Policy" else f"{kind}s"
        limit = account.quotas.get(f"{plural}Quota", PER_ACCOUNT[kind])
        if counts[kind] >= limit:
            raise limit_exceeded(f"{plural}PerAccount", limit)

    return rule


# Documents --------------------------------------------------------------------------------


def _sound_policy(call: Call) -> None:
    body = _sound(call.params["PolicyDocument"], IAMPolicyDocumentValidator)
    if any("Principal" in s or "NotPrincipal" in s for s in as_list(body["Statement"])):
        raise malformed("Policy document should not specify a principal.")


def _sound(document: str, validator: type[Any]) -> Document:
    try:
        body = load_document(document)
        validator(document).validate()
    except Malformed as error:
        raise malformed(str(error)) from error
    except ServiceException as error:
        raise malformed(error.message) from error
    return body


def _size(document: str) -> int:
    """The length of a document as quotas count it: without white space."""
    return len(re.sub(r"\s", "", document))


def _inline_total(kind: str) -> Rule:
    def rule(call: Call) -> None:
        entity = call.entity(kind)
        if entity is None:
            return
        others = {n: d for n, d in entity.policies.items() if n != call.params["PolicyName"]}
        total = sum(map(_size, others.values())) + _size(call.params["PolicyDocument"])
        if total > (limit := INLINE_TOTAL[kind]):
            message = f"Maximum policy size of {limit} bytes exceeded for {kind} {entity.name}"
            raise AwsError("LimitExceeded", message, 409)

    return rule


def _managed_size(call: Call) -> None:
    if _size(call.params["PolicyDocument"]) > MANAGED_POLICY_SIZE:
        raise limit_exceeded("PolicySize", MANAGED_POLICY_SIZE)


def _boundary_exists(call: Call) -> None:
    boundary = call.params.get("PermissionsBoundary")
    if boundary is not None and boundary not in call.account.managed_policies:
        message = f"Scope ARN: {boundary} does not exist or is not attachable."
        raise no_such_entity(message)


def _tags_fit(kind: str) -> Rule:
    def rule(call: Call) -> None:
        entity = call.entity(kind)
        if entity and len({**tag_map(entity.tags), **tags(call.params)}) > TAGS_PER_ENTITY:
            raise limit_exceeded(f"TagsPer{kind.title()}", TAGS_PER_ENTITY)

    return rule


# Members and attachments ------------------------------------------------------------------


def _room_for_a_group(call: Call) -> None:
    user = call.entity("user")
    if user is None:
        return
    groups = [g.name for g in call.account.groups.values() if user in g.users]
    if call.params["GroupName"] not in groups and len(groups) >= GROUPS_PER_USER:
        raise limit_exceeded("GroupsPerUser", GROUPS_PER_USER)


def _room_for_a_policy(kind: str) -> Rule:
    def rule(call: Call) -> None:
        entity = call.entity(kind)
        attached = entity.managed_policies if entity else {}
        name = f"AttachedPoliciesPer{kind.title()}Quota"
        limit = call.account.quotas.get(name, ATTACHED_PER_ENTITY)
        if call.params["PolicyArn"] not in attached and len(attached) >= limit:
            raise limit_exceeded(f"PoliciesPer{kind.title()}", limit)

    return rule


def _conflict(message: str) -> AwsError:
    return AwsError("DeleteConflict", message, 409)


def _stripped(kind: str, *, of: Callable[[Any, Backend], Iterable[tuple[bool, str]]]) -> Rule:
    """Only the console deletes what hangs on an entity; the API refuses."""

    def rule(call: Call) -> None:
        entity = call.entity(kind)
        if entity is None:
            return
        for present, what in (*_policies_left(entity), *of(entity, call.account)):
            if present:
                raise _conflict(f"Cannot delete entity, must {what} first.")

    return rule


def _policies_left(entity: Any) -> list[tuple[bool, str]]:
    return [
        (bool(entity.managed_policies), "detach all policies"),
        (bool(entity.policies), "delete policies"),
    ]


def _left_of_group(group: Any, account: Backend) -> list[tuple[bool, str]]:
    return [(bool(group.users), "remove users from group")]


def _left_of_role(role: Any, account: Backend) -> list[tuple[bool, str]]:
    return [(bool(role.instance_profile_list), "remove roles from instance profile")]


def _left_of_user(user: Any, account: Backend) -> list[tuple[bool, str]]:
    return [
        (bool(user.access_keys), "delete access keys"),
        (bool(user.password), "delete login profile"),
        (any(user in group.users for group in account.groups.values()), "remove user from group"),
        (bool(user.mfa_devices), "delete MFA device"),
        (bool(user.ssh_public_keys), "delete SSH public keys"),
        (bool(user.signing_certificates), "delete signing certificates"),
    ]


def _policy_is_unused(call: Call) -> None:
    arn = call.params["PolicyArn"]
    if arn not in call.account.managed_policies:
        return
    if call.account.usage(arn):
        raise _conflict("Cannot delete a policy attached to entities.")
    if len(call.account.managed_policies[arn].versions) > 1:
        raise _conflict(
            "This policy has more than one version. Before you delete a policy, you must delete"
            " the policy's versions. The default version is deleted with the policy."
        )


def _not_of_aws(call: Call) -> None:
    if ":iam::aws:policy/" in call.params.get("PolicyArn", ""):
        raise AwsError("AccessDenied", "AWS managed policies cannot be changed.", 403)


# Trust policies ---------------------------------------------------------------------------

TRUST_PARAMETER = {
    "CreateRole": "AssumeRolePolicyDocument",
    "UpdateAssumeRolePolicy": "PolicyDocument",
}


def _sound_trust(call: Call) -> None:
    document = call.params[TRUST_PARAMETER[call.action]]
    body = _sound(document, IAMTrustPolicyDocumentValidator)
    limit = call.account.quotas.get("AssumeRolePolicySizeQuota", TRUST_POLICY_SIZE)
    if _size(document) > limit:
        raise limit_exceeded("ACLSizePerRole", limit)
    for statement in as_list(body["Statement"]):
        _check_principal_element(statement)


def _check_principal_element(statement: Mapping[str, Any]) -> None:
    if "NotPrincipal" in statement:
        raise malformed("Has prohibited field NotPrincipal")
    principal = statement.get("Principal")
    if principal == "*":
        raise malformed('AssumeRolepolicy contained an invalid principal: "STAR":"*".')
    if not isinstance(principal, dict) or not principal:
        raise malformed("Missing required field Principal")
    for kind, values in principal.items():
        texts = as_list(values)
        if kind not in ("AWS", "Service", "Federated") or not texts:
            raise malformed(f'Invalid principal in policy: "{kind}":"{values}"')
        if not all(isinstance(value, str) for value in texts):
            raise malformed("Syntax errors in policy.")


def bind_trust(document: Document, account: Backend) -> Document:
    """Replace the ARNs of users and roles by their unique ids, as AWS does on writing.

    Raises AwsError with MalformedPolicyDocument for a principal that does not exist.
    """
    return map_principals(document, lambda value: _bind(value, account.partition))


def _bind(value: str, partition: str) -> str:
    if value == "*":
        return value
    if re.fullmatch(r"\d{12}", value):
        return f"arn:{partition}:iam::{value}:root"
    if re.fullmatch(rf"arn:{partition}:iam::\d{{12}}:root", value):
        return value
    bound = _bind_entity(value, partition)
    if bound is None:
        raise malformed(f'Invalid principal in policy: "AWS":"{value}"')
    return bound


def _bind_entity(value: str, partition: str) -> str | None:
    if re.fullmatch(r"(AIDA|AROA)[A-Z0-9]{17}", value):
        return value if any(b.by_id(value) for b in backends()) else None
    match = re.fullmatch(
        rf"arn:{partition}:(iam|sts)::(\d{{12}}):(user|role|assumed-role)/.+", value
    )
    if match is None:
        return None
    account = backend_of(match[2], partition)
    if match[3] == "assumed-role":
        # The ARN of a session is kept as it is; it holds as long as the names do.
        parts = value.split("/")
        return value if len(parts) == 3 and parts[1] in account.roles_by_name else None
    entity = account.by_arn(value)
    return str(entity.id) if entity else None


def session_policy(document: str) -> str:
    """Check a session policy that comes with AssumeRole, and give it back."""
    _sound(document, IAMPolicyDocumentValidator)
    if len(document) > SESSION_POLICY_SIZE:
        used = 100 * len(document) // SESSION_POLICY_SIZE
        text = f"Packed policy consumes {used}% of allotted space, please use smaller policy."
        raise AwsError("PackedPolicyTooLarge", text)
    return document


def managed_documents(account: Backend, arns: Iterable[str]) -> list[str]:
    """The texts of managed policies, for a session; raises AwsError where one is missing."""
    found = []
    for arn in arns:
        if arn not in account.managed_policies:
            raise no_such_entity(f"Policy {arn} does not exist or is not attachable.")
        found.append(default_document(account.managed_policies[arn]))
    return found


RULES: dict[str, tuple[Rule, ...]] = {
    "CreateRole": (_sound_trust, _free("role", "RoleName"), _boundary_exists, _room("Role")),
    "UpdateAssumeRolePolicy": (_sound_trust,),
    "PutRolePermissionsBoundary": (_boundary_exists,),
    "PutRolePolicy": (_sound_policy, _inline_total("role")),
    "AttachRolePolicy": (_room_for_a_policy("role"),),
    "TagRole": (_tags_fit("role"),),
    "DeleteRole": (_stripped("role", of=_left_of_role),),
    "CreateGroup": (_free("group", "GroupName"), _room("Group")),
    "UpdateGroup": (_free("group", "NewGroupName"),),
    "AddUserToGroup": (_room_for_a_group,),
    "PutGroupPolicy": (_sound_policy, _inline_total("group")),
    "AttachGroupPolicy": (_room_for_a_policy("group"),),
    "DeleteGroup": (_stripped("group", of=_left_of_group),),
    "CreateUser": (_free("user", "UserName"), _boundary_exists, _room("User")),
    "UpdateUser": (_free("user", "NewUserName"),),
    "PutUserPermissionsBoundary": (_boundary_exists,),
    "PutUserPolicy": (_sound_policy, _inline_total("user")),
    "AttachUserPolicy": (_room_for_a_policy("user"),),
    "TagUser": (_tags_fit("user"),),
    "DeleteUser": (_stripped("user", of=_left_of_user),),
    "CreatePolicy": (_sound_policy, _policy_name_is_free, _managed_size, _room("Policy")),
    "CreatePolicyVersion": (_not_of_aws, _sound_policy, _managed_size),
    "SetDefaultPolicyVersion": (_not_of_aws,),
    "DeletePolicyVersion": (_not_of_aws,),
    "DeletePolicy": (_not_of_aws, _policy_is_unused),
}


def check_rules(call: Call) -> None:
    """Apply every rule of the action; raises AwsError at the first that is broken."""
    for rule in RULES.get(call.action, ()):
        rule(call)
