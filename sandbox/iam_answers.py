"""IAM's answers: moto's, with paths and pages in the List calls, and the calls it lacks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import utcnow
from moto.iam import models
from moto.iam.exceptions import NoSuchEntity, ValidationError
from moto.iam.responses import IamResponse

from sandbox.iam_store import Backend, User, backend_of
from sandbox.simulation import simulate

PAGE = 100
"""Items on a page where the call names no number."""


class Response(IamResponse):
    """moto's answers, with paths and pages, and the calls for user boundaries."""

    largest_page = 1000
    """AWS may end a page before it is full; a test has it end every page early."""

    RESPONSE_KEY_PATH_TO_TRANSFORMER = {
        **IamResponse.RESPONSE_KEY_PATH_TO_TRANSFORMER,
        "ListUsersResponse.Users.User.PermissionsBoundary": lambda _: None,
        "GetGroupResponse.Users.User.PermissionsBoundary": lambda _: None,
    }

    @property
    def backend(self) -> Backend:
        return backend_of(self.current_account, self.partition)

    def _determine_resource(self) -> str:
        # moto looks the role up for a check of its own that is not switched on.
        return "*"

    def _page(self, items: Iterable[Any]) -> tuple[list[Any], dict[str, Any]]:
        """Cut one page out of a list, as Marker and MaxItems ask: 100 by default."""
        marker = self._get_param("Marker") or "0"
        if not marker.isdecimal():
            raise ValidationError(f"Invalid Marker: {marker}")
        start, wished = int(marker), int(self._get_param("MaxItems") or PAGE)
        end = start + min(wished, self.largest_page)
        everything = list(items)
        more = end < len(everything)
        return everything[start:end], {"IsTruncated": more, "Marker": str(end) if more else None}

    def _listed(self, name: str, items: Iterable[Any]) -> ActionResult:
        found, page = self._page(items)
        return ActionResult({name: found, **page})

    def _under_prefix(self, items: Iterable[Any]) -> list[Any]:
        prefix = self._get_param("PathPrefix") or "/"
        found = (item for item in items if item.path.startswith(prefix))
        return sorted(found, key=lambda item: str(item.name))

    def list_users(self) -> ActionResult:
        return self._listed("Users", self._under_prefix(self.backend.users.values()))

    def list_groups(self) -> ActionResult:
        return self._listed("Groups", self._under_prefix(self.backend.groups.values()))

    def list_roles(self) -> ActionResult:
        return self._listed("Roles", self._under_prefix(self.backend.roles.values()))

    def list_policies(self) -> ActionResult:
        policies = self._under_prefix(self._policies_in_scope())
        if str(self._get_param("OnlyAttached", "")).lower() == "true":
            policies = [policy for policy in policies if policy.attachment_count]
        return self._listed("Policies", policies)

    def _policies_in_scope(self) -> list[models.ManagedPolicy]:
        scope = self._get_param("Scope", "All")
        if scope == "Local":
            return self.backend.managed_policies.own()
        everything = self.backend.managed_policies.everything()
        if scope == "AWS":
            return [p for p in everything if isinstance(p, models.AWSManagedPolicy)]
        return everything

    def get_group(self) -> ActionResult:
        group = self.backend.get_group(self._get_param("GroupName"))
        users, page = self._page(group.users)
        return ActionResult({"Group": group, "Users": users, **page})

    def get_account_summary(self) -> ActionResult:
        counted = self.backend.get_account_summary().summary_map
        return ActionResult({"SummaryMap": {**counted, **self.backend.quotas}})

    def list_mfa_devices(self) -> ActionResult:
        # moto answers for users that do not exist too.
        user = self.backend.get_user(self._get_param("UserName"))
        return self._listed("MFADevices", user.mfa_devices.values())

    def simulate_principal_policy(self) -> ActionResult:
        principal = self.backend.by_arn(self._get_param("PolicySourceArn"))
        if principal is None:
            raise NoSuchEntity("The policy source could not be found.")
        given = {
            one["ContextKeyName"]: tuple(one.get("ContextKeyValues", []))
            for one in self._get_param("ContextEntries", [])
        }
        results = [
            simulate(self.backend, principal, action, resource, given, utcnow())
            for action in self._get_param("ActionNames", [])
            for resource in self._get_param("ResourceArns", ["*"])
        ]
        return ActionResult({"EvaluationResults": results, "IsTruncated": False})

    def list_groups_for_user(self) -> ActionResult:
        groups = self.backend.get_groups_for_user(self._get_param("UserName"))
        return self._listed("Groups", groups)

    def list_role_policies(self) -> ActionResult:
        return self._listed("PolicyNames", self._holder("role").policies)

    def list_group_policies(self) -> ActionResult:
        return self._listed("PolicyNames", self._holder("group").policies)

    def list_user_policies(self) -> ActionResult:
        return self._listed("PolicyNames", self._holder("user").policies)

    def list_attached_role_policies(self) -> ActionResult:
        return self._attached(self._holder("role"))

    def list_attached_group_policies(self) -> ActionResult:
        return self._attached(self._holder("group"))

    def list_attached_user_policies(self) -> ActionResult:
        return self._attached(self._holder("user"))

    def list_access_keys(self) -> ActionResult:
        return self._listed("AccessKeyMetadata", self._holder("user").access_keys)

    def list_role_tags(self) -> ActionResult:
        return self._listed("Tags", self._holder("role").tags)

    def list_user_tags(self) -> ActionResult:
        return self._listed("Tags", self._holder("user").tags)

    def list_policy_versions(self) -> ActionResult:
        versions = self.backend.list_policy_versions(self._get_param("PolicyArn"))
        return self._listed("Versions", versions)

    def _attached(self, holder: Any) -> ActionResult:
        policies = self._under_prefix(holder.managed_policies.values())
        named = [{"PolicyName": one.name, "PolicyArn": one.arn} for one in policies]
        return self._listed("AttachedPolicies", named)

    def _holder(self, kind: str) -> Any:
        """The user, group or role that the call names. Raises NoSuchEntity."""
        find = {
            "user": self.backend.get_user,
            "group": self.backend.get_group,
            "role": self.backend.get_role,
        }
        return find[kind](self._get_param(f"{kind.title()}Name"))

    def create_user(self) -> ActionResult:
        user = self.backend.create_user(
            self.region,
            self._get_param("UserName"),
            self._get_param("Path") or "/",
            self._get_param("Tags", []),
        )
        user.permissions_boundary_arn = self._get_param("PermissionsBoundary")
        return ActionResult({"User": user})

    def put_user_permissions_boundary(self) -> ActionResult:
        user = self.backend.get_user(self._get_param("UserName"))
        assert isinstance(user, User)  # noqa: S101 (create_user makes no other)
        user.permissions_boundary_arn = self._get_param("PermissionsBoundary")
        return EmptyResult()

    def delete_user_permissions_boundary(self) -> ActionResult:
        user = self.backend.get_user(self._get_param("UserName"))
        assert isinstance(user, User)  # noqa: S101
        if user.permissions_boundary_arn is None:
            raise NoSuchEntity(f"User {user.name} does not have a permissions boundary.")
        user.permissions_boundary_arn = None
        return EmptyResult()

    def update_role(self) -> ActionResult:
        # moto wipes what the call leaves out; AWS leaves it as it is.
        role = self.backend.get_role(self._get_param("RoleName"))
        role.description = self._get_param("Description", role.description)
        role.max_session_duration = self._get_param("MaxSessionDuration", role.max_session_duration)
        return EmptyResult()

    def update_assume_role_policy(self) -> ActionResult:
        # The document was judged and bound before it came here; moto would judge it again.
        role = self.backend.get_role(self._get_param("RoleName"))
        role.bound_trust = self._get_param("PolicyDocument")
        return EmptyResult()

    def create_login_profile(self) -> ActionResult:
        user = self.backend.create_login_profile(
            self._get_param("UserName"), self._get_param("Password")
        )
        user.password_reset_required = bool(self._get_param("PasswordResetRequired"))
        profile = {
            "UserName": user.name,
            "CreateDate": utcnow(),
            "PasswordResetRequired": user.password_reset_required,
        }
        return ActionResult({"LoginProfile": profile})

    def get_account_authorization_details(self) -> ActionResult:
        found, page = self._page(self._details())
        details: dict[str, list[Any]] = {
            "UserDetailList": [],
            "GroupDetailList": [],
            "RoleDetailList": [],
            "Policies": [],
        }
        for name, item in found:
            details[name].append(item)
        return ActionResult({**details, **page})

    def _details(self) -> list[tuple[str, Any]]:
        """Everything in the account. Of AWS's policies only those in use, as AWS does."""
        wanted = set(self._get_param("Filter", []))
        policies = self.backend.managed_policies
        used = [p for p in policies.values() if self.backend.usage(p.arn)]
        aws = [p for p in used if isinstance(p, models.AWSManagedPolicy)]
        sources: list[tuple[str, str, Iterable[Any]]] = [
            ("User", "UserDetailList", self.backend.users.values()),
            ("Group", "GroupDetailList", self.backend.groups.values()),
            ("Role", "RoleDetailList", self.backend.roles.values()),
            ("LocalManagedPolicy", "Policies", policies.own()),
            ("AWSManagedPolicy", "Policies", aws),
        ]
        chosen = [source for source in sources if not wanted or source[0] in wanted]
        return [(name, item) for _, name, items in chosen for item in items]
