"""The steps of a plan: frozen values that say what one call to AWS would change.

The approver's page, `manage.py plan`, the audit event and the worker use the same steps. A step
that `gives` adds access; automatic repair applies only steps that do not (THREATS.md, I12).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from provisioning.core.documents import Document, pretty


class Side(StrEnum):
    """In which account of the pair a step is done."""

    SOURCE = "source"
    TARGET = "target"


@dataclass(frozen=True, kw_only=True)
class Step(ABC):
    """One idempotent call. Subclasses say which."""

    side: ClassVar[Side]
    action: ClassVar[str]
    """The IAM action, without the service prefix."""
    gives: bool = False

    @property
    def call(self) -> str:
        """The API call, as policies and CloudTrail name it."""
        return f"iam:{self.action}"

    @property
    @abstractmethod
    def sentence(self) -> str:
        """What the step does, for a person."""

    @property
    def documents(self) -> tuple[str, str]:
        """The document before and after, as text; empty where there is none."""
        return "", ""


def _text(document: Document | None) -> str:
    return pretty(document) if document else ""


@dataclass(frozen=True, kw_only=True)
class CreateGroup(Step):
    """Make a switch group."""

    side = Side.SOURCE
    action = "CreateGroup"
    group: str
    gives: bool = True

    @property
    def sentence(self) -> str:
        """In words."""
        return f"Make the switch group {self.group}."


@dataclass(frozen=True, kw_only=True)
class PutGroupPolicy(Step):
    """Write an inline policy of a switch group."""

    side = Side.SOURCE
    action = "PutGroupPolicy"
    group: str
    policy: str
    document: Document = field(hash=False)
    before: Document | None = field(default=None, hash=False)

    @property
    def sentence(self) -> str:
        """In words."""
        return f"Let members of {self.group} enter the issued roles of its target accounts."

    @property
    def documents(self) -> tuple[str, str]:
        """Before and after."""
        return _text(self.before), _text(self.document)


@dataclass(frozen=True, kw_only=True)
class DeleteGroupPolicy(Step):
    """Remove an inline policy that is not ours from a switch group."""

    side = Side.SOURCE
    action = "DeleteGroupPolicy"
    group: str
    policy: str

    @property
    def sentence(self) -> str:
        """In words."""
        return f"Remove the policy {self.policy}, which nobody approved, from {self.group}."


@dataclass(frozen=True, kw_only=True)
class AttachGroupPolicy(Step):
    """Attach a managed policy to a switch group."""

    side = Side.SOURCE
    action = "AttachGroupPolicy"
    group: str
    policy_arn: str
    gives: bool = True

    @property
    def sentence(self) -> str:
        """In words."""
        return f"Give members of {self.group} the policy {_short(self.policy_arn)} in this account."


@dataclass(frozen=True, kw_only=True)
class DetachGroupPolicy(Step):
    """Detach a managed policy that is not ours from a switch group."""

    side = Side.SOURCE
    action = "DetachGroupPolicy"
    group: str
    policy_arn: str

    @property
    def sentence(self) -> str:
        """In words."""
        return f"Detach {_short(self.policy_arn)}, which nobody approved, from {self.group}."


@dataclass(frozen=True, kw_only=True)
class AddUserToGroup(Step):
    """Put the person's IAM user into the switch group."""

    side = Side.SOURCE
    action = "AddUserToGroup"
    group: str
    user: str
    gives: bool = True

    @property
    def sentence(self) -> str:
        """In words."""
        return f"Put the IAM user {self.user} into {self.group}."


@dataclass(frozen=True, kw_only=True)
class RemoveUserFromGroup(Step):
    """Take the person's IAM user out of the switch group."""

    side = Side.SOURCE
    action = "RemoveUserFromGroup"
    group: str
    user: str

    @property
    def sentence(self) -> str:
        """In words."""
        return f"Take the IAM user {self.user} out of {self.group}."


@dataclass(frozen=True, kw_only=True)
class DeleteGroup(Step):
    """Remove a switch group that no pair uses any more."""

    side = Side.SOURCE
    action = "DeleteGroup"
    group: str

    @property
    def sentence(self) -> str:
        """In words."""
        return f"Remove the switch group {self.group}."


@dataclass(frozen=True, kw_only=True)
class CreateRole(Step):
    """Make the issued role, with trust, boundary and tags in the one call."""

    side = Side.TARGET
    action = "CreateRole"
    role: str
    trust: Document = field(hash=False)
    boundary_arn: str
    tags: Mapping[str, str] = field(hash=False)
    max_session_seconds: int
    gives: bool = True

    @property
    def sentence(self) -> str:
        """In words."""
        return f"Make the role {self.role}, which only this IAM user can enter, until the end."

    @property
    def documents(self) -> tuple[str, str]:
        """Everything that the call makes: the trust policy, the boundary, the tags."""
        made = {
            "AssumeRolePolicyDocument": self.trust,
            "PermissionsBoundary": self.boundary_arn,
            "MaxSessionDuration": self.max_session_seconds,
            "Tags": dict(self.tags),
        }
        return "", _text(made)


@dataclass(frozen=True, kw_only=True)
class UpdateTrust(Step):
    """Write the issued role's trust policy again: somebody changed it, or the end is moved."""

    side = Side.TARGET
    action = "UpdateAssumeRolePolicy"
    role: str
    document: Document = field(hash=False)
    before: Document = field(hash=False)

    @property
    def sentence(self) -> str:
        """In words."""
        return f"Let only the approved IAM user enter {self.role}, until the approved end."

    @property
    def documents(self) -> tuple[str, str]:
        """Before and after."""
        return _text(self.before), _text(self.document)


@dataclass(frozen=True, kw_only=True)
class SetBoundary(Step):
    """Put the permissions boundary back on the issued role."""

    side = Side.TARGET
    action = "PutRolePermissionsBoundary"
    role: str
    boundary_arn: str

    @property
    def sentence(self) -> str:
        """In words."""
        return f"Put the boundary {_short(self.boundary_arn)} back on {self.role}."


@dataclass(frozen=True, kw_only=True)
class SetSessionLength(Step):
    """Set the issued role's MaxSessionDuration."""

    side = Side.TARGET
    action = "UpdateRole"
    role: str
    max_session_seconds: int

    @property
    def sentence(self) -> str:
        """In words."""
        hours = self.max_session_seconds / 3600
        return f"Set the longest session of {self.role} to {hours:g} h."


@dataclass(frozen=True, kw_only=True)
class TagRole(Step):
    """Write the issued role's tags again: the end is among them."""

    side = Side.TARGET
    action = "TagRole"
    role: str
    tags: Mapping[str, str] = field(hash=False)
    before: Mapping[str, str] = field(hash=False)

    @property
    def sentence(self) -> str:
        """In words."""
        return f"Write the end on the tags of {self.role}."

    @property
    def documents(self) -> tuple[str, str]:
        """Before and after."""
        return _text(dict(self.before)), _text(dict(self.tags))


@dataclass(frozen=True, kw_only=True)
class PutRolePolicy(Step):
    """Write an inline policy of the issued role."""

    side = Side.TARGET
    action = "PutRolePolicy"
    role: str
    policy: str
    purpose: str
    document: Document = field(hash=False)
    before: Document | None = field(default=None, hash=False)

    @property
    def sentence(self) -> str:
        """In words."""
        return self.purpose

    @property
    def documents(self) -> tuple[str, str]:
        """Before and after."""
        return _text(self.before), _text(self.document)


@dataclass(frozen=True, kw_only=True)
class DeleteRolePolicy(Step):
    """Remove an inline policy of the issued role."""

    side = Side.TARGET
    action = "DeleteRolePolicy"
    role: str
    policy: str

    @property
    def sentence(self) -> str:
        """In words."""
        return f"Remove the policy {self.policy} from {self.role}."


@dataclass(frozen=True, kw_only=True)
class AttachRolePolicy(Step):
    """Attach a managed policy of the profile: the call that arms the role."""

    side = Side.TARGET
    action = "AttachRolePolicy"
    role: str
    policy_arn: str
    gives: bool = True

    @property
    def sentence(self) -> str:
        """In words."""
        return f"Give {self.role} the permissions of {_short(self.policy_arn)}."


@dataclass(frozen=True, kw_only=True)
class DetachRolePolicy(Step):
    """Detach a managed policy from the issued role."""

    side = Side.TARGET
    action = "DetachRolePolicy"
    role: str
    policy_arn: str

    @property
    def sentence(self) -> str:
        """In words."""
        return f"Take the permissions of {_short(self.policy_arn)} from {self.role}."


@dataclass(frozen=True, kw_only=True)
class DeleteRole(Step):
    """Remove the issued role."""

    side = Side.TARGET
    action = "DeleteRole"
    role: str

    @property
    def sentence(self) -> str:
        """In words."""
        return f"Remove the role {self.role}."


type PlanStep = (
    CreateGroup
    | PutGroupPolicy
    | DeleteGroupPolicy
    | AttachGroupPolicy
    | DetachGroupPolicy
    | AddUserToGroup
    | RemoveUserFromGroup
    | DeleteGroup
    | CreateRole
    | UpdateTrust
    | SetBoundary
    | SetSessionLength
    | TagRole
    | PutRolePolicy
    | DeleteRolePolicy
    | AttachRolePolicy
    | DetachRolePolicy
    | DeleteRole
)


def _short(arn: str) -> str:
    return arn.partition(":policy/")[2] or arn
