"""The IAM documents of a grant, and how to compare documents.

Dates are ISO 8601 in UTC, whole seconds: AWS takes no other form in policies [AWS-FACTS 4.23].
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from provisioning.core import naming

type Document = dict[str, Any]

VERSION = "2012-10-17"
SESSION_POLICY_LIMIT = 2048
"""Characters of a session policy that AssumeRole takes [AWS-FACTS 3.8]."""


def aws_time(moment: datetime) -> str:
    """A moment as AWS policies write it: `2026-12-31T23:59:59Z`. Fractions are cut off, so that
    access never ends later than the row says."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def trust_policy(*, user_arn: str, end: str, require_mfa: bool) -> Document:
    """Who may enter an issued role: one IAM user, before the end, with MFA where demanded.

    `Bool`, not `BoolIfExists`: with the latter long-term keys would pass without MFA [4.10].
    No ExternalId: the console cannot send one [1.19].
    """
    condition: Document = {"DateLessThan": {"aws:CurrentTime": end}}
    if require_mfa:
        condition["Bool"] = {"aws:MultiFactorAuthPresent": "true"}
    return _document(
        {
            "Sid": "OneUserUntilTheEnd",
            "Effect": "Allow",
            "Principal": {"AWS": user_arn},
            "Action": "sts:AssumeRole",
            "Condition": condition,
        }
    )


def dated_deny(end: str) -> Document:
    """Deny everything from the end on: live sessions are judged by the role's present policies
    at each call, so they stop too [5.1, 5.5]."""
    return _document(
        {
            "Sid": "NothingAfterTheEnd",
            "Effect": "Deny",
            "Action": "*",
            "Resource": "*",
            "Condition": {"DateGreaterThanEquals": {"aws:CurrentTime": end}},
        }
    )


def deny_all() -> Document:
    """Deny everything now: one call that locks out every session of an issued role."""
    return _document({"Sid": "Revoked", "Effect": "Deny", "Action": "*", "Resource": "*"})


def switch_policy(*, partition: str, targets: Sequence[str]) -> Document:
    """What a switch group allows: entering the issued roles of exactly these target accounts,
    never `*`, which would open every role anywhere that trusts the source account [4.25]."""
    return _document(
        {
            "Sid": "SwitchToIssuedRoles",
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Resource": [naming.role_arn(partition, target, "*") for target in sorted(targets)],
        }
    )


def source_session_policy(
    *, group_arn: str, policy_arns: Sequence[str], user_arn: str = ""
) -> Document:
    """What the portal's session in a source account may change: this group, no other.

    `user_arn` names the one user whose groups may be listed; without it nobody's may.

    The first look at a thing is allowed everywhere: IAM makes the ARN of what does not exist
    without its path, so a narrower permission would answer AccessDenied instead of NoSuchEntity.
    """
    return _document(
        {"Effect": "Allow", "Action": ["iam:GetGroup", "iam:GetUser"], "Resource": "*"},
        {
            "Effect": "Allow",
            "Action": [
                "iam:CreateGroup",
                "iam:GetGroupPolicy",
                "iam:ListGroupPolicies",
                "iam:ListAttachedGroupPolicies",
                "iam:PutGroupPolicy",
                "iam:DeleteGroupPolicy",
                "iam:DetachGroupPolicy",
                "iam:AddUserToGroup",
                "iam:RemoveUserFromGroup",
            ],
            "Resource": group_arn,
        },
        *([_statement("iam:ListGroupsForUser", user_arn)] if user_arn else []),
        *_attachments("iam:AttachGroupPolicy", group_arn, policy_arns),
    )


def target_session_policy(*, role_arn: str, policy_arns: Sequence[str]) -> Document:
    """What the portal's session in a target account may change: this issued role, no other."""
    return _document(
        {"Effect": "Allow", "Action": "iam:GetRole", "Resource": "*"},
        {
            "Effect": "Allow",
            "Action": [
                "iam:CreateRole",
                "iam:TagRole",
                "iam:UpdateRole",
                "iam:UpdateAssumeRolePolicy",
                "iam:PutRolePermissionsBoundary",
                "iam:PutRolePolicy",
                "iam:GetRolePolicy",
                "iam:ListRolePolicies",
                "iam:DeleteRolePolicy",
                "iam:ListAttachedRolePolicies",
                "iam:DetachRolePolicy",
                "iam:DeleteRole",
            ],
            "Resource": role_arn,
        },
        *_attachments("iam:AttachRolePolicy", role_arn, policy_arns),
    )


def source_preview_policy(*, group_arn: str, user_arn: str, policies_arn: str) -> Document:
    """What the portal's session in a source account may read while it tries a plan; it may change
    nothing. `policies_arn` covers the AWS managed policies whose existence is looked up.

    MFA devices and the simulation came later than the first template: an account that has not
    installed it anew refuses them, and only the findings that they feed are then unknown.
    """
    return _document(
        {
            "Effect": "Allow",
            "Action": ["iam:GetAccountSummary", "iam:GetGroup", "iam:GetUser"],
            "Resource": "*",
        },
        {
            "Effect": "Allow",
            "Action": [
                "iam:GetGroupPolicy",
                "iam:ListAttachedGroupPolicies",
                "iam:ListGroupPolicies",
            ],
            "Resource": group_arn,
        },
        {
            "Effect": "Allow",
            "Action": [
                "iam:ListGroupsForUser",
                "iam:ListMFADevices",
                "iam:SimulatePrincipalPolicy",
            ],
            "Resource": user_arn,
        },
        _statement("iam:GetPolicy", policies_arn),
    )


def target_preview_policy(*, role_arn: str, boundary_arn: str, policies_arn: str) -> Document:
    """What the portal's session in a target account may read while it tries a plan; it may change
    nothing."""
    return _document(
        {
            "Effect": "Allow",
            "Action": ["iam:GetAccountSummary", "iam:GetRole"],
            "Resource": "*",
        },
        {
            "Effect": "Allow",
            "Action": [
                "iam:GetRolePolicy",
                "iam:ListAttachedRolePolicies",
                "iam:ListRolePolicies",
            ],
            "Resource": role_arn,
        },
        {"Effect": "Allow", "Action": "iam:GetPolicy", "Resource": [boundary_arn, policies_arn]},
    )


def scan_session_policy() -> Document:
    """What the portal's session may do while it reads an account: that one call. AWS limits it to
    no path."""
    return _document(_statement("iam:GetAccountAuthorizationDetails", "*"))


def cut_back_session_policy(*, group_arn: str) -> Document:
    """What a session may do that takes away from a switch group what nobody approved.

    It can add nobody and attach nothing. Writing the inline policy is needed to make it narrower.
    """
    return _document(
        {"Effect": "Allow", "Action": "iam:GetGroup", "Resource": "*"},
        {
            "Effect": "Allow",
            "Action": [
                "iam:GetGroupPolicy",
                "iam:ListGroupPolicies",
                "iam:ListAttachedGroupPolicies",
                "iam:PutGroupPolicy",
                "iam:DeleteGroupPolicy",
                "iam:DetachGroupPolicy",
                "iam:RemoveUserFromGroup",
            ],
            "Resource": group_arn,
        },
    )


def removal_session_policy(*, role_arn: str) -> Document:
    """What a session may do that removes one role nobody answers for: lock it, empty it, delete."""
    return _document(
        {"Effect": "Allow", "Action": "iam:GetRole", "Resource": "*"},
        {
            "Effect": "Allow",
            "Action": [
                "iam:GetRolePolicy",
                "iam:ListRolePolicies",
                "iam:ListAttachedRolePolicies",
                "iam:PutRolePermissionsBoundary",
                "iam:PutRolePolicy",
                "iam:DeleteRolePolicy",
                "iam:DetachRolePolicy",
                "iam:DeleteRole",
            ],
            "Resource": role_arn,
        },
    )


def _statement(action: str, arn: str) -> Document:
    return {"Effect": "Allow", "Action": action, "Resource": arn}


def _attachments(action: str, arn: str, policy_arns: Sequence[str]) -> list[Document]:
    """Attaching stands alone: iam:PolicyARN exists in no other call's context [6.2]."""
    if not policy_arns:
        return []
    condition = {"ArnEquals": {"iam:PolicyARN": list(policy_arns)}}
    return [_statement(action, arn) | {"Condition": condition}]


def _document(*statements: Document) -> Document:
    return {"Version": VERSION, "Statement": list(statements)}


def dumps(document: Document) -> str:
    """A document as it is sent to AWS: compact, because sizes are limited."""
    return json.dumps(document, separators=(",", ":"))


def pretty(document: Document) -> str:
    """A document as a person reads it."""
    return json.dumps(document, indent=2)


def canonical(value: Any) -> Any:
    """A document in one form, whatever order or list form AWS gives it back in.

    IAM keeps the JSON but normalises principals, and may turn one-element lists into strings
    [4.2, 7.14]. Compared raw, a plan would never become empty.
    """
    if isinstance(value, Mapping):
        return {str(key): _element(str(key), inner) for key, inner in sorted(value.items())}
    if isinstance(value, list | tuple):
        return sorted((canonical(one) for one in value), key=_sort_key)
    return value


_LISTS = {
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "AWS",
    "Service",
    "Federated",
    "Statement",
}


def _element(key: str, value: Any) -> Any:
    if key in _LISTS or ":" in key:
        return canonical(value if isinstance(value, list | tuple) else [value])
    return canonical(value)


def _sort_key(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def same(one: Document, other: Document) -> bool:
    """Whether two documents mean the same to the letter, order and list form aside."""
    # Nearly always AWS gives back what it was given, and a scan compares thousands.
    return one == other or bool(canonical(one) == canonical(other))


def narrower(found: Document, wanted: Document) -> bool:
    """Whether `found` lets nobody do more than `wanted`, so that writing `wanted` would give.

    Each Allow found must be one that is wanted, perhaps with more conditions or an earlier end;
    a Deny found only takes away. And each Deny wanted must be there, as it is or with an earlier
    beginning. Where this cannot be told the answer is False: the document counts as widened.
    """
    there, due = _statements(found), _statements(wanted)
    allows = all(
        any(_within(one, other) for other in due) for one in there if one.get("Effect") != "Deny"
    )
    denies = all(
        any(_denies_as_much(other, one) for other in there)
        for one in due
        if one.get("Effect") == "Deny"
    )
    return allows and denies


def _statements(document: Document) -> list[Document]:
    found = canonical(document).get("Statement", [])
    return [one for one in found if isinstance(one, dict)]


NOW: Final = "aws:CurrentTime"


def only_denies(document: Document) -> bool:
    """Whether a document takes away and gives nothing."""
    statements = _statements(document)
    return bool(statements) and all(one.get("Effect") == "Deny" for one in statements)


def _within(found: Document, wanted: Document) -> bool:
    """Whether an Allow is a wanted one, perhaps of less, or with more conditions."""
    return _covers(_frame(wanted), _frame(found)) and all(
        _as_strict(operator, key, found.get("Condition", {}).get(operator, {}).get(key), values)
        for operator, keys in wanted.get("Condition", {}).items()
        for key, values in keys.items()
    )


def _frame(statement: Document) -> Document:
    """A statement without its conditions, and without the name that means nothing."""
    return {key: value for key, value in statement.items() if key not in {"Condition", "Sid"}}


def _covers(wanted: Document, found: Document) -> bool:
    """Whether the frames are the same, but for fewer actions and resources."""
    return wanted.keys() == found.keys() and all(
        set(found[key]) <= set(wanted[key])
        if key in {"Action", "Resource"}
        else found[key] == wanted[key]
        for key in wanted
    )


def _as_strict(operator: str, key: str, found: Any, wanted: Any) -> bool:
    if operator == "DateLessThan" and key == NOW and found and wanted:
        return all(_moment(one) <= _moment(wanted[0]) for one in found)
    return bool(found == wanted)


def _denies_as_much(found: Document, wanted: Document) -> bool:
    """Whether a Deny denies all that is wanted: the same from an earlier moment, or always."""
    if _frame(found) != _frame(wanted):
        return False
    begins = wanted.get("Condition", {}).get("DateGreaterThanEquals", {}).get(NOW)
    began = found.get("Condition", {}).get("DateGreaterThanEquals", {}).get(NOW)
    dated = set(found.get("Condition", {})) <= {"DateGreaterThanEquals"}
    if dated and begins and began and len(found.get("Condition", {})) == len(began) == 1:
        return _moment(began[0]) <= _moment(begins[0])
    return not found.get("Condition") or found.get("Condition") == wanted.get("Condition")


LATEST: Final = datetime.max.replace(tzinfo=UTC)


def _moment(value: Any) -> datetime:
    """A date of a policy: ISO 8601 or seconds since 1970. What cannot be read counts as latest."""
    text = str(value)
    try:
        if text.isdigit():
            return datetime.fromtimestamp(int(text), UTC)
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        return LATEST
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
