"""SimulatePrincipalPolicy: what a user's or role's own policies say, without making the call.

Like AWS's it knows identity policies and the boundary, no trust policy and no other account; and
of a sign-in it knows only what the caller tells it. A condition key that nobody told is missing,
and is named in the answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sandbox.evaluation import Policy, Request, parse_policy
from sandbox.iam_store import Backend, Role, User, boundary_of, default_document, tag_map

ALWAYS_KNOWN = {"aws:currenttime", "aws:epochtime"}


@dataclass(frozen=True, slots=True)
class Source:
    """One policy and what AWS calls it in its answer."""

    policy_id: str
    kind: str
    statements: Policy


def simulate(
    account: Backend,
    principal: User | Role,
    action: str,
    resource: str,
    given: Mapping[str, tuple[str, ...]],
    now: datetime,
) -> dict[str, Any]:
    """One EvaluationResult."""
    keys = {**_keys(account, principal), **given}
    request = Request.at(now.replace(tzinfo=UTC), action, resource, keys)
    identity, boundary = list(_identity(account, principal)), list(_boundary(account, principal))
    denies = list(_matching(identity + boundary, request, allows=False))
    allows = list(_matching(identity, request, allows=True))
    within = boundary_of(principal) is None or any(_matching(boundary, request, allows=True))
    decision = "explicitDeny" if denies else "allowed" if allows and within else "implicitDeny"
    result: dict[str, Any] = {
        "EvalActionName": action,
        "EvalResourceName": resource,
        "EvalDecision": decision,
        # A deny stands alone in the answer, whatever allows besides.
        "MatchedStatements": [
            {"SourcePolicyId": one.policy_id, "SourcePolicyType": one.kind}
            for one in denies or allows
        ],
        "MissingContextValues": sorted(_missing(identity + boundary, request)),
    }
    if boundary_of(principal) is not None:
        result["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": within}
    return result


def _keys(account: Backend, principal: User | Role) -> dict[str, str | tuple[str, ...]]:
    keys: dict[str, str | tuple[str, ...]] = {
        "aws:PrincipalArn": str(principal.arn),
        "aws:PrincipalAccount": account.account,
        "aws:userid": str(principal.id),
    }
    if isinstance(principal, User):
        keys["aws:username"] = str(principal.name)
    tags = tag_map(principal.tags)
    return keys | {f"aws:PrincipalTag/{key}": value for key, value in tags.items()}


def _identity(account: Backend, principal: User | Role) -> Iterator[Source]:
    kind = "user" if isinstance(principal, User) else "role"
    yield from _sources(kind, principal)
    for group in account.groups.values():
        if principal in group.users:
            yield from _sources("group", group)


def _sources(kind: str, holder: Any) -> Iterator[Source]:
    for name, document in holder.policies.items():
        yield Source(f"{kind}_{holder.name}_{name}", kind, parse_policy(document))
    for policy in holder.managed_policies.values():
        aws = ":iam::aws:policy/" in policy.arn
        yield Source(
            policy.name,
            "aws-managed" if aws else "user-managed",
            parse_policy(default_document(policy)),
        )


def _boundary(account: Backend, principal: User | Role) -> Iterator[Source]:
    arn = boundary_of(principal)
    if arn is not None and arn in account.managed_policies:
        policy = account.managed_policies[arn]
        yield Source(policy.name, "user-managed", parse_policy(default_document(policy)))


def _matching(sources: list[Source], request: Request, *, allows: bool) -> Iterator[Source]:
    for source in sources:
        if any(one.allows is allows and one.applies(request) for one in source.statements):
            yield source


def _missing(sources: list[Source], request: Request) -> set[str]:
    """Condition keys that the policies ask for and nobody has told."""
    asked = {
        condition.key
        for source in sources
        for statement in source.statements
        for condition in statement.conditions
    }
    return asked - set(request.context) - ALWAYS_KNOWN
