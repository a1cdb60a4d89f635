"""IAM's state: moto's models, with what moto leaves out or gets wrong.

Added to moto: user boundaries, path and page parameters of the List calls, unique ids that begin
as AWS's do, trust policies bound to unique ids. AWS's own managed policies (1 582 of them) are
read when one is first asked for, and shared by all accounts; as moto loads them they would cost
each account 34 MB and a tenth of a second.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from functools import cache
from types import ModuleType
from typing import Any

from moto.iam import models, urls
from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.exceptions import NoSuchEntity
from moto.iam.utils import generate_access_key_id_from_account_id

from sandbox.evaluation import as_list
from sandbox.iam_requests import Entity

Document = dict[str, Any]


def unique_id(account: str, prefix: str) -> str:
    """Make an id as AWS does: AIDA for a user, AGPA for a group, AROA for a role."""
    return generate_access_key_id_from_account_id(account, prefix=prefix, total_length=21)


# AWS's managed policies -------------------------------------------------------------------


@cache
def catalogue() -> dict[str, tuple[str, dict[str, Any]]]:
    """Read AWS's managed policies: name and data by path and name."""
    data = json.loads(aws_managed_policies_data)
    return {f"{item['Path']}{name}": (name, item) for name, item in data.items()}


class ManagedPolicies(dict[str, models.ManagedPolicy]):
    """One account's policies by ARN; one of AWS's comes into being when it is asked for."""

    def __init__(self, backend: Backend) -> None:
        super().__init__()
        self._backend = backend
        self._prefix = f"arn:{backend.partition}:iam::aws:policy"

    def __missing__(self, arn: str) -> models.ManagedPolicy:
        if not arn.startswith(self._prefix) or arn[len(self._prefix) :] not in catalogue():
            raise KeyError(arn)
        name, data = catalogue()[arn[len(self._prefix) :]]
        backend = self._backend
        policy = models.AWSManagedPolicy.from_data(
            name, backend.account_id, backend.region_name, data
        )
        self[arn] = policy
        return policy

    def __contains__(self, arn: object) -> bool:
        try:
            self[str(arn)]
        except KeyError:
            return False
        return True

    def everything(self) -> list[models.ManagedPolicy]:
        """Every policy that ListPolicies could show, AWS's own included."""
        for key in catalogue():
            self[self._prefix + key]
        return list(self.values())

    def own(self) -> list[models.ManagedPolicy]:
        """The account's own policies."""
        return [p for p in self.values() if not isinstance(p, models.AWSManagedPolicy)]


def default_document(policy: models.ManagedPolicy) -> str:
    """The text of a policy's default version."""
    return next(v.document for v in policy.versions if v.version_id == policy.default_version_id)


# Users, groups, roles ---------------------------------------------------------------------
# The names must stay Role, User and Group: moto's serialiser finds `RoleId` as `id` by them.


class User(models.User):
    """A user who can have a permissions boundary."""

    permissions_boundary_arn: str | None = None

    @property
    def permissions_boundary(self) -> dict[str, str] | None:
        if self.permissions_boundary_arn is None:
            return None
        return {
            "PermissionsBoundaryType": "PermissionsBoundaryPolicy",
            "PermissionsBoundaryArn": self.permissions_boundary_arn,
        }


class Role(models.Role):
    """A role that keeps its trust policy with unique ids and shows it with ARNs."""

    bound_trust: str

    @property
    def assume_role_policy_document(self) -> str:
        return show_trust(self.bound_trust)

    @assume_role_policy_document.setter
    def assume_role_policy_document(self, document: str) -> None:
        self.bound_trust = document


def map_principals(document: Document, change: Callable[[str], str]) -> Document:
    """Copy a trust policy with every value under Principal "AWS" changed."""

    def statement(item: dict[str, Any]) -> dict[str, Any]:
        principal = item.get("Principal")
        if not isinstance(principal, dict) or "AWS" not in principal:
            return item
        given = principal["AWS"]
        changed = [change(value) for value in as_list(given)]
        value = changed if isinstance(given, list) else changed[0]
        return {**item, "Principal": {**principal, "AWS": value}}

    given = document["Statement"]
    changed = [statement(item) for item in as_list(given)]
    return {**document, "Statement": changed if isinstance(given, list) else changed[0]}


def show_trust(bound: str) -> str:
    """A trust policy as GetRole shows it: an ARN while the principal exists, then its bare id."""
    return json.dumps(map_principals(json.loads(bound), arn_of_id))


def arn_of_id(entry: str) -> str:
    """Turn the unique id of a living user or role into its ARN; leave all else as it is."""
    if entry.startswith(("AIDA", "AROA")):
        for backend in backends():
            if (found := backend.by_id(entry)) is not None:
                return str(found.arn)
    return entry


# One account ------------------------------------------------------------------------------


class Backend(models.IAMBackend):
    """One account in one partition; also the `Directory` that requests are read against."""

    managed_policies: ManagedPolicies

    def __init__(self, region_name: str, account_id: str) -> None:
        self.roles_by_name: dict[str, Role] = {}
        self.users_by_id: dict[str, User] = {}
        self.quotas: dict[str, int] = {}
        super().__init__(region_name, account_id)

    @property
    def _url_module(self) -> ModuleType:
        return urls

    @property
    def flask_paths(self) -> dict[str, Any]:
        # Imported here because the answers are made from this class.
        from sandbox.iam_answers import Response

        return {"/": Response.dispatch}

    @property
    def account(self) -> str:
        """The account's number, twelve digits."""
        return str(self.account_id)

    def _init_aws_policies(self) -> list[models.ManagedPolicy]:
        return []

    def _init_managed_policies(self) -> ManagedPolicies:
        return ManagedPolicies(self)

    # Looking things up

    def find(self, kind: str, name: str) -> Entity | None:
        """See `iam_requests.Directory`."""
        if kind == "principal":
            found = self.by_arn(name)
            return Entity(found.arn, tag_map(found.tags), boundary_of(found)) if found else None
        finder = {"role": self._role, "user": self._user, "group": self._group}
        return finder.get(kind, self._policy)(name)

    def _role(self, name: str) -> Entity | None:
        role = self.roles_by_name.get(name)
        return Entity(role.arn, tag_map(role.tags), boundary_of(role)) if role else None

    def _user(self, name: str) -> Entity | None:
        user = self.users.get(name)
        return Entity(user.arn, tag_map(user.tags), boundary_of(user)) if user else None

    def _group(self, name: str) -> Entity | None:
        group = self.groups.get(name)
        return Entity(group.arn) if group else None

    def _policy(self, arn: str) -> Entity | None:
        if arn not in self.managed_policies:
            return None
        return Entity(arn, tag_map(self.managed_policies[arn].get_tags()))

    def named(self, kind: str) -> MutableMapping[str, Any]:
        """All of one kind, "user", "group" or "role", by name."""
        kinds: dict[str, MutableMapping[str, Any]] = {
            "user": self.users,
            "group": self.groups,
            "role": self.roles_by_name,
        }
        return kinds[kind]

    def by_id(self, entity_id: str) -> User | Role | None:
        """The living user or role with this unique id."""
        role = self.roles.get(entity_id)
        return role if isinstance(role, Role) else self.users_by_id.get(entity_id)

    def by_arn(self, arn: str) -> User | Role | None:
        """The living user or role with exactly this ARN."""
        kind, _, name = arn.split(":", 5)[-1].partition("/")
        name = name.rpartition("/")[2]
        found = self.roles_by_name.get(name) if kind == "role" else self.users.get(name)
        return found if isinstance(found, User | Role) and found.arn == arn else None

    def get_role(self, role_name: str) -> Role:
        if role_name not in self.roles_by_name:
            raise NoSuchEntity(f"The role with name {role_name} cannot be found.")
        return self.roles_by_name[role_name]

    def usage(self, policy_arn: str) -> int:
        """How many users, groups and roles have this policy attached or as their boundary."""
        entities = self.principals()
        attached = sum(policy_arn in entity.managed_policies for entity in entities)
        return attached + sum(boundary_of(entity) == policy_arn for entity in entities)

    @property
    def is_empty(self) -> bool:
        """An account that was asked about, but has nothing in it."""
        return not (self.principals() or self.managed_policies.own() or self.account_aliases)

    def principals(self) -> list[Any]:
        return [*self.roles.values(), *self.users.values(), *self.groups.values()]

    # Changing things

    def add_role(self, role: Role) -> Role:
        self.roles[role.id] = role
        self.roles_by_name[role.name] = role
        return role

    def new_role(
        self,
        role_id: str,
        role_name: str,
        bound_trust: str,
        path: str,
        permissions_boundary: str | None,
        description: str,
        tags: list[dict[str, str]],
        max_session_duration: str | None,
    ) -> Role:
        """Make a role object; `add_role` puts it in its place."""
        # The method that mypy misses is moto's for CloudFormation, not for IAM.
        return Role(  # type: ignore[abstract]
            account_id=self.account_id,
            partition=self.partition,
            role_id=role_id,
            name=role_name,
            assume_role_policy_document=bound_trust,
            path=path,
            permissions_boundary=permissions_boundary,
            description=description,
            tags=tags,
            max_session_duration=max_session_duration,
        )

    def create_role(
        self,
        role_name: str,
        assume_role_policy_document: str,
        path: str,
        permissions_boundary: str | None,
        description: str,
        tags: list[dict[str, str]],
        max_session_duration: str | None,
        linked_service: str | None = None,
    ) -> Role:
        role = self.new_role(
            unique_id(self.account_id, "AROA"),
            role_name,
            assume_role_policy_document,
            path,
            permissions_boundary,
            description,
            list(self._tag_verification(tags).values()),
            max_session_duration,
        )
        role._linked_service = linked_service
        return self.add_role(role)

    def delete_role(self, role_name: str) -> None:
        super().delete_role(role_name)
        del self.roles_by_name[role_name]

    def add_user(self, user: User) -> User:
        self.users[user.name] = user
        self.users_by_id[user.id] = user
        return user

    def create_user(
        self,
        region_name: str,
        user_name: str,
        path: str = "/",
        tags: list[dict[str, str]] | None = None,
    ) -> User:
        user = new_user(self, user_name, path)
        user.id = unique_id(self.account_id, "AIDA")
        self.tagger.tag_resource(user.arn, list(self._tag_verification(tags or []).values()))
        return self.add_user(user)

    def delete_user(self, user_name: str) -> None:
        user = self.get_user(user_name)
        super().delete_user(user_name)
        del self.users_by_id[user.id]

    def update_user(
        self, user_name: str, new_path: str | None = None, new_user_name: str | None = None
    ) -> None:
        user = self.get_user(user_name)
        tags = self.tagger.list_tags_for_resource(user.arn)["Tags"]
        self.tagger.delete_all_tags_for_resource(user.arn)
        super().update_user(user_name, new_path, new_user_name)
        self.tagger.tag_resource(user.arn, tags)
        for key in user.access_keys:
            key.user_name = user.name

    def create_group(self, group_name: str, path: str = "/") -> models.Group:
        group = super().create_group(group_name, path)
        group.id = unique_id(self.account_id, "AGPA")
        return group

    def update_group(
        self, group_name: str, new_group_name: str | None, new_path: str | None
    ) -> None:
        group = self.get_group(group_name)
        group.path = new_path or group.path
        group.name = new_group_name or group.name
        self.groups[group.name] = self.groups.pop(group_name)

    def _attach(self, policy_arn: str, entity: Any) -> None:
        if policy_arn not in self.managed_policies:
            raise NoSuchEntity(f"Policy {policy_arn} does not exist or is not attachable.")
        if policy_arn not in entity.managed_policies:
            self.managed_policies[policy_arn].attach_to(entity)

    def _detach(self, policy_arn: str, entity: Any) -> None:
        if policy_arn not in entity.managed_policies:
            raise NoSuchEntity(f"Policy {policy_arn} was not found.")
        self.managed_policies[policy_arn].detach_from(entity)

    def attach_role_policy(self, policy_arn: str, role_name: str) -> None:
        self._attach(policy_arn, self.get_role(role_name))

    def attach_user_policy(self, policy_arn: str, user_name: str) -> None:
        self._attach(policy_arn, self.get_user(user_name))

    def attach_group_policy(self, policy_arn: str, group_name: str) -> None:
        self._attach(policy_arn, self.get_group(group_name))

    def detach_role_policy(self, policy_arn: str, role_name: str) -> None:
        self._detach(policy_arn, self.get_role(role_name))

    def detach_user_policy(self, policy_arn: str, user_name: str) -> None:
        self._detach(policy_arn, self.get_user(user_name))

    def detach_group_policy(self, policy_arn: str, group_name: str) -> None:
        self._detach(policy_arn, self.get_group(group_name))


def new_user(backend: Backend, name: str, path: str) -> User:
    """Make a user object; `Backend.add_user` puts it in its place."""
    # The method that mypy misses is moto's for CloudFormation, not for IAM.
    return User(backend.account_id, backend.region_name, name, path)  # type: ignore[abstract]


def tag_map(tags: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    """Tags as a mapping, from AWS's list of Key and Value."""
    return {tag["Key"]: tag["Value"] for tag in tags or ()}


def boundary_of(entity: Any) -> str | None:
    """The ARN of an entity's permissions boundary; groups have none."""
    return getattr(entity, "permissions_boundary_arn", None)


# moto makes the backend of an account when it first meets the account's number.
models.iam_backends.backend = Backend


def backend_of(account: str, partition: str) -> Backend:
    """One account's state, made empty where it is new."""
    found = models.iam_backends[account][partition]
    assert isinstance(found, Backend)  # noqa: S101 (tells mypy what the line above arranges)
    return found


def backends() -> Iterator[Backend]:
    """Every account that exists, in every partition that it was met in."""
    for partitions in list(models.iam_backends.values()):
        for backend in list(partitions.values()):
            if isinstance(backend, Backend):
                yield backend
