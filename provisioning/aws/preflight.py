"""Reading what pre-flight wants to know of both accounts. Reads only; nothing is decided here.

Source account, at most 12 + one for each inline policy of the switch group: GetUser, GetGroup,
ListGroupPolicies, GetGroupPolicy, ListAttachedGroupPolicies and ListGroupsForUser (the same six
that a worker needs), ListGroupsForUser once more to count, GetAccountSummary, ListMFADevices where
the profile demands MFA, SimulatePrincipalPolicy, and GetPolicy for each managed policy of the
group (three at most). Target account, at most 3 + one for each managed policy of the profile:
GetRole, GetAccountSummary, GetPolicy for the boundary and for each of those policies.

The reads that a worker needs too raise AwsError: what they are refused, the worker will be. Every
other one gives an `Unread` in its place. Nothing is tried twice here: SimulatePrincipalPolicy
throttles early [AWS-FACTS 7.3], and its answer is never worth waiting for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from provisioning.aws import iam
from provisioning.aws.errors import AwsError, Kind, calling
from provisioning.core import naming
from provisioning.core.plan import GrantSpec, Wanted
from provisioning.core.preflight import Simulation, SourceFacts, TargetFacts, Unread

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_iam.type_defs import EvaluationResultTypeDef

ASSUME: Final = "sts:AssumeRole"
KEYS_OF_ASSUME_ROLE: Final = ("aws:", "sts:", "iam:")
SIGNED_IN_WITH_MFA: Final = "aws:MultiFactorAuthPresent"
"""Told to the simulation, because it cannot know: without it the usual "deny everything without
MFA" would look like a deny for ever."""


def look_at_source(
    client: IAMClient, spec: GrantSpec, wanted: Wanted, beside: Executor
) -> SourceFacts:
    """What the source account shows of one request. Raises AwsError."""
    found = iam.observe(iam.Clients(source=client, target=None, beside=beside), wanted)
    facts = SourceFacts(
        user_id=found.user_id,
        group=found.group,
        member=found.member,
        groups=0,
        mfa_devices=0,
        own_denies=Simulation(denied=False),
        quotas=_or_unread(lambda: _summary(client)),
        missing_policies=_or_unread(lambda: _missing(client, spec.group_policy_arns)),
    )
    if found.user_id != spec.user_id:
        # Somebody else's groups and devices say nothing about this person.
        return facts
    return replace(
        facts,
        groups=_or_unread(lambda: _groups_of(client, spec.user_name)),
        mfa_devices=_or_unread(lambda: _mfa_devices(client, spec.user_name))
        if spec.require_mfa
        else 0,
        own_denies=_or_unread(lambda: _simulate(client, spec)),
    )


def look_at_target(
    client: IAMClient, spec: GrantSpec, wanted: Wanted, beside: Executor
) -> TargetFacts:
    """What the target account shows of one request. Raises AwsError."""
    found = iam.observe(iam.Clients(source=None, target=client, beside=beside), wanted)
    return TargetFacts(
        role=found.role,
        boundary_exists=_or_unread(lambda: _policy_exists(client, spec.boundary_arn)),
        quotas=_or_unread(lambda: _summary(client)),
        missing_policies=_or_unread(lambda: _missing(client, spec.role_policies)),
    )


def _or_unread[T](read: Callable[[], T]) -> T | Unread:
    try:
        return read()
    except AwsError as error:
        return Unread(error.call, error.code)


def _summary(client: IAMClient) -> Mapping[str, int]:
    """Usage and quotas of an account by AWS's own names."""
    with calling("iam:GetAccountSummary"):
        summary = client.get_account_summary()["SummaryMap"]
    return {str(name): value for name, value in summary.items()}


def _groups_of(client: IAMClient, user: str) -> int:
    with calling("iam:ListGroupsForUser"):
        pages = client.get_paginator("list_groups_for_user").paginate(UserName=user)
        return sum(len(page["Groups"]) for page in pages)


def _mfa_devices(client: IAMClient, user: str) -> int:
    with calling("iam:ListMFADevices"):
        return len(client.list_mfa_devices(UserName=user)["MFADevices"])


def _policy_exists(client: IAMClient, arn: str) -> bool:
    """Whether there is a managed policy. AWS knows its ARN before it exists, so NoSuchEntity is
    the answer for a missing one, and AccessDenied means that we may not ask."""
    try:
        with calling("iam:GetPolicy"):
            client.get_policy(PolicyArn=arn)
    except AwsError as error:
        if error.kind is Kind.GONE:
            return False
        raise
    return True


def _missing(client: IAMClient, arns: Iterable[str]) -> tuple[str, ...]:
    return tuple(arn for arn in arns if not _policy_exists(client, arn))


def _simulate(client: IAMClient, spec: GrantSpec) -> Simulation:
    """Ask AWS whether a policy of the user's own denies entering the coming role."""
    role = naming.role_arn(spec.target.partition, spec.target.account_id, spec.role_name)
    with calling("iam:SimulatePrincipalPolicy"):
        answer = client.simulate_principal_policy(
            PolicySourceArn=spec.user_arn,
            ActionNames=[ASSUME],
            ResourceArns=[role],
            ContextEntries=[
                {
                    "ContextKeyName": SIGNED_IN_WITH_MFA,
                    "ContextKeyValues": ["true"],
                    "ContextKeyType": "boolean",
                }
            ],
        )
    results = answer.get("EvaluationResults", [])
    denials = [one for one in results if one["EvalDecision"] == "explicitDeny"]
    return Simulation(
        denied=bool(denials),
        denied_by=_sorted(policy for one in denials for policy in _policies_of(one)),
        depends_on=_sorted(key for one in denials for key in _missing_keys(one)),
        by_organization=any(
            not one.get("OrganizationsDecisionDetail", {}).get("AllowedByOrganizations", True)
            for one in denials
        ),
        outside_boundary=any(map(_outside_boundary, results)),
    )


def _outside_boundary(result: EvaluationResultTypeDef) -> bool:
    details = [result.get("PermissionsBoundaryDecisionDetail", {})]
    for one in result.get("ResourceSpecificResults", []):
        details.append(one.get("PermissionsBoundaryDecisionDetail", {}))
    return any(not one.get("AllowedByPermissionsBoundary", True) for one in details)


def _policies_of(result: EvaluationResultTypeDef) -> Iterable[str]:
    return (one.get("SourcePolicyId", "") for one in result.get("MatchedStatements", []))


def _missing_keys(result: EvaluationResultTypeDef) -> Iterable[str]:
    """Condition keys that may have decided. AWS names those of every policy of the user, beside
    the resource where one was asked about, else beside the action; a key of another service
    cannot bear on AssumeRole."""
    named = list(result.get("MissingContextValues", []))
    for one in result.get("ResourceSpecificResults", []):
        named += one.get("MissingContextValues", [])
    return (key for key in named if key.lower().startswith(KEYS_OF_ASSUME_ROLE))


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({name for name in names if name}))
