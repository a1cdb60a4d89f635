"""Reading what exists for a grant, and doing the steps of a plan. No decision is taken here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor, wait
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, assert_never

from provisioning.aws.errors import AwsError, Kind, calling
from provisioning.core import naming
from provisioning.core.documents import Document, dumps
from provisioning.core.plan import Found, FoundGroup, FoundRole, Wanted
from provisioning.core.steps import (
    AddUserToGroup,
    AttachGroupPolicy,
    AttachRolePolicy,
    CreateGroup,
    CreateRole,
    DeleteGroup,
    DeleteGroupPolicy,
    DeleteRole,
    DeleteRolePolicy,
    DetachGroupPolicy,
    DetachRolePolicy,
    PlanStep,
    PutGroupPolicy,
    PutRolePolicy,
    RemoveUserFromGroup,
    SetBoundary,
    SetSessionLength,
    Side,
    TagRole,
    UpdateTrust,
)

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_iam.type_defs import TagTypeDef

type Observed = dict[str, Any]


@dataclass(frozen=True)
class Clients:
    """One IAM client for each side of a grant, and threads to ask things beside each other.

    One client may be missing while access is removed: an account that lets us in no more must not
    keep the other one open. Nothing is then seen or done on that side.
    """

    source: IAMClient | None
    target: IAMClient | None
    beside: Executor

    def reach(self, side: Side) -> bool:
        """Whether there is a client of this side."""
        return (self.source if side is Side.SOURCE else self.target) is not None

    def on(self, side: Side) -> IAMClient:
        """The client of one side. Raises LookupError where there is none."""
        client = self.source if side is Side.SOURCE else self.target
        if client is None:
            message = f"There is no session in the {side} account."
            raise LookupError(message)
        return client


@dataclass(frozen=True)
class FoundUser:
    """An IAM user as AWS shows it."""

    name: str
    arn: str
    unique_id: str


def _if_there[T](call: str, read: Callable[[], T]) -> T | None:
    """What a read answers, or None where the thing does not exist."""
    try:
        with calling(call):
            return read()
    except AwsError as error:
        if error.kind is Kind.GONE:
            return None
        raise


def find_user(iam: IAMClient, name: str) -> FoundUser | None:
    """The IAM user of a name, with AWS's unique id, or None."""
    answer = _if_there("iam:GetUser", lambda: iam.get_user(UserName=name))
    if answer is None:
        return None
    user = answer["User"]
    return FoundUser(name=user["UserName"], arn=user["Arn"], unique_id=user["UserId"])


def observe(clients: Clients, wanted: Wanted, assumed: Found | None = None) -> Found:
    """Everything that exists under a grant's names, in both accounts. Reads only.

    `assumed` is what AWS has acknowledged already. Of a role it leaves the frame to be read (does
    it exist, is it ours, whom does it trust), and of the source account nothing.
    """
    source = None if assumed else clients.beside.submit(_source, clients, wanted)
    role = _role(clients.target, wanted.role_name, assumed) if clients.target else None
    return replace(assumed or (source.result() if source else Found()), role=role)


def _source(clients: Clients, wanted: Wanted) -> Found:
    """The source side: user and membership are asked for at the same time."""
    iam = clients.source
    if iam is None:
        return Found()
    member = clients.beside.submit(_is_member, iam, wanted.user, wanted.group_name)
    user = find_user(iam, wanted.user)
    # Whoever only leaves the group need not know what it allows.
    group = find_group(iam, wanted.group_name) if wanted.group else None
    if user is None:
        # Whatever is answered about the groups of nobody means nothing.
        wait([member])
        return Found(group=group)
    return Found(group=group, member=member.result(), user_id=user.unique_id)


def _is_member(iam: IAMClient, user: str, group: str) -> bool:
    with calling("iam:ListGroupsForUser"):
        pages = iam.get_paginator("list_groups_for_user").paginate(UserName=user)
        return any(one["GroupName"] == group for page in pages for one in page["Groups"])


def find_group(iam: IAMClient, name: str) -> FoundGroup | None:
    """The IAM group of a name with its policies, or None."""
    answer = _if_there("iam:GetGroup", lambda: iam.get_group(GroupName=name, MaxItems=1))
    if answer is None:
        return None
    path = answer["Group"]["Path"]
    if path != naming.PATH:
        # Not ours: the plan refuses to touch it, and we may read no more of it.
        return FoundGroup(path=path, inline={}, managed=())
    with calling("iam:ListGroupPolicies"):
        pages = iam.get_paginator("list_group_policies").paginate(GroupName=name)
        policies = [one for page in pages for one in page["PolicyNames"]]
    with calling("iam:GetGroupPolicy"):
        inline = {one: _group_policy(iam, name, one) for one in policies}
    with calling("iam:ListAttachedGroupPolicies"):
        attached = iam.get_paginator("list_attached_group_policies").paginate(GroupName=name)
        managed = _arns(page["AttachedPolicies"] for page in attached)
    return FoundGroup(path=path, inline=inline, managed=managed)


def group_members(iam: IAMClient, name: str) -> list[str]:
    """Names of the IAM users in a group, whoever put them there."""
    with calling("iam:GetGroup"):
        pages = iam.get_paginator("get_group").paginate(GroupName=name)
        return [user["UserName"] for page in pages for user in page["Users"]]


def _group_policy(iam: IAMClient, group: str, policy: str) -> Document:
    answer = iam.get_group_policy(GroupName=group, PolicyName=policy)
    return _document(answer["PolicyDocument"])


def _role(iam: IAMClient, name: str, assumed: Found | None) -> FoundRole | None:
    answer = _if_there("iam:GetRole", lambda: iam.get_role(RoleName=name))
    if answer is None:
        return None
    role = answer["Role"]
    inline, managed = _contents(iam, role["Path"], name, assumed)
    return FoundRole(
        path=role["Path"],
        trust=_document(role["AssumeRolePolicyDocument"]),
        boundary_arn=role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn", ""),
        tags={tag["Key"]: tag["Value"] for tag in role.get("Tags", [])},
        max_session_seconds=role.get("MaxSessionDuration", 3600),
        inline=inline,
        managed=managed,
    )


def _contents(
    iam: IAMClient, path: str, name: str, assumed: Found | None
) -> tuple[dict[str, Document], tuple[str, ...]]:
    """What a role holds; of one that is not ours nothing is read."""
    if path != naming.PATH:
        return {}, ()
    if assumed is not None and assumed.role is not None:
        return dict(assumed.role.inline), assumed.role.managed
    return _role_policies(iam, name)


def _role_policies(iam: IAMClient, name: str) -> tuple[dict[str, Document], tuple[str, ...]]:
    """Inline policies by name, and ARNs of the attached ones."""
    with calling("iam:ListRolePolicies"):
        pages = iam.get_paginator("list_role_policies").paginate(RoleName=name)
        policies = [one for page in pages for one in page["PolicyNames"]]
    with calling("iam:GetRolePolicy"):
        inline = {one: _role_policy(iam, name, one) for one in policies}
    with calling("iam:ListAttachedRolePolicies"):
        attached = iam.get_paginator("list_attached_role_policies").paginate(RoleName=name)
        managed = _arns(page["AttachedPolicies"] for page in attached)
    return inline, managed


def _role_policy(iam: IAMClient, role: str, policy: str) -> Document:
    answer = iam.get_role_policy(RoleName=role, PolicyName=policy)
    return _document(answer["PolicyDocument"])


def _document(value: Any) -> Document:
    """botocore decodes documents to dicts; anything else is not one that we could compare."""
    return dict(value) if isinstance(value, dict) else {"unreadable": str(value)}


def _arns(pages: Iterable[Iterable[Any]]) -> tuple[str, ...]:
    return tuple(sorted(one["PolicyArn"] for page in pages for one in page))


def apply(iam: IAMClient, step: PlanStep) -> None:
    """Do one step. Doing it twice changes nothing more. Raises AwsError.

    What is gone already counts as removed. What exists already stops the run (kind EXISTS): it is
    ours after a lost answer, or foreign, and only the next observation tells these apart.
    """
    try:
        with calling(step.call):
            _call(iam, step)
    except AwsError as error:
        removes = step.action.startswith(("Delete", "Detach", "Remove"))
        if not (removes and error.kind is Kind.GONE):
            raise


def _call(iam: IAMClient, step: PlanStep) -> None:
    match step:
        case CreateGroup():
            iam.create_group(Path=naming.PATH, GroupName=step.group)
        case PutGroupPolicy():
            iam.put_group_policy(
                GroupName=step.group, PolicyName=step.policy, PolicyDocument=dumps(step.document)
            )
        case DeleteGroupPolicy():
            iam.delete_group_policy(GroupName=step.group, PolicyName=step.policy)
        case AttachGroupPolicy():
            iam.attach_group_policy(GroupName=step.group, PolicyArn=step.policy_arn)
        case DetachGroupPolicy():
            iam.detach_group_policy(GroupName=step.group, PolicyArn=step.policy_arn)
        case AddUserToGroup():
            iam.add_user_to_group(GroupName=step.group, UserName=step.user)
        case RemoveUserFromGroup():
            iam.remove_user_from_group(GroupName=step.group, UserName=step.user)
        case DeleteGroup():
            iam.delete_group(GroupName=step.group)
        case CreateRole():
            _create_role(iam, step)
        case UpdateTrust():
            iam.update_assume_role_policy(RoleName=step.role, PolicyDocument=dumps(step.document))
        case SetBoundary():
            iam.put_role_permissions_boundary(
                RoleName=step.role, PermissionsBoundary=step.boundary_arn
            )
        case TagRole():
            iam.tag_role(RoleName=step.role, Tags=_tags(step.tags))
        case SetSessionLength():
            iam.update_role(RoleName=step.role, MaxSessionDuration=step.max_session_seconds)
        case PutRolePolicy():
            iam.put_role_policy(
                RoleName=step.role, PolicyName=step.policy, PolicyDocument=dumps(step.document)
            )
        case DeleteRolePolicy():
            iam.delete_role_policy(RoleName=step.role, PolicyName=step.policy)
        case AttachRolePolicy():
            iam.attach_role_policy(RoleName=step.role, PolicyArn=step.policy_arn)
        case DetachRolePolicy():
            iam.detach_role_policy(RoleName=step.role, PolicyArn=step.policy_arn)
        case DeleteRole():
            iam.delete_role(RoleName=step.role)
        case _:
            assert_never(step)


def _tags(tags: Mapping[str, str]) -> list[TagTypeDef]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _create_role(iam: IAMClient, step: CreateRole) -> None:
    iam.create_role(
        Path=naming.PATH,
        RoleName=step.role,
        AssumeRolePolicyDocument=dumps(step.trust),
        PermissionsBoundary=step.boundary_arn,
        MaxSessionDuration=step.max_session_seconds,
        Tags=_tags(step.tags),
        Description="Made by Sallyport for one grant; see the tags.",
    )
