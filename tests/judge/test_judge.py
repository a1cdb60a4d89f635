"""The judge against cases worked by hand from AWS's documentation.

Each case names its rule: "UG page" is a page of the IAM User Guide, a number in brackets one of
AWS-FACTS.md.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.judge.judge import (
    CannotJudge,
    Session,
    condition_holds,
    matches_action,
    matches_resource,
    may_do,
    may_enter,
    who_may_enter,
)
from tests.judge.state import NOTHING, Document, Principal, State

OPERATORS = "UG reference_policies_elements_condition_operators"
SETS = "UG reference_policies_condition-single-vs-multi-valued-context-keys"
VARIABLES = "UG reference_policies_variables"
ACTION = "UG reference_policies_elements_action"
RESOURCE = "UG reference_policies_elements_resource"
LOGIC = "UG reference_policies_evaluation-logic"
BOUNDARIES = "UG access_policies_boundaries"
SESSIONS = "UG access_policies#policies_session"
PRINCIPAL = "UG reference_policies_elements_principal"

NOON = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
A, B = "111111111111", "222222222222"


# --- Conditions --------------------------------------------------------------------------------

type Condition = tuple[str, str, str, list[str], dict[str, list[str]], bool]
"""Rule, operator, key, the policy's values, the request's keys, and whether it holds."""

CONDITIONS: list[Condition] = [
    (OPERATORS, "StringEquals", "k", ["a"], {"k": ["a"]}, True),
    (f"{OPERATORS}: case-sensitive", "StringEquals", "k", ["a"], {"k": ["A"]}, False),
    (f"{OPERATORS}: no wildcards in Equals", "StringEquals", "k", ["a*"], {"k": ["ab"]}, False),
    (f"{OPERATORS}: values are alternatives", "StringEquals", "k", ["a", "b"], {"k": ["b"]}, True),
    (f"{OPERATORS}: key names ignore case", "StringEquals", "K", ["a"], {"k": ["a"]}, True),
    (f"{OPERATORS}: missing key is false", "StringEquals", "k", ["a"], {}, False),
    (f"{OPERATORS}: missing key, negated", "StringNotEquals", "k", ["a"], {}, True),
    (f"{OPERATORS}: negated is NOR", "StringNotEquals", "k", ["a", "b"], {"k": ["b"]}, False),
    (f"{OPERATORS}: negated is NOR", "StringNotEquals", "k", ["a", "b"], {"k": ["c"]}, True),
    (OPERATORS, "StringEqualsIgnoreCase", "k", ["Ab"], {"k": ["aB"]}, True),
    (OPERATORS, "StringNotEqualsIgnoreCase", "k", ["Ab"], {"k": ["aB"]}, False),
    (OPERATORS, "StringLike", "k", ["a*z"], {"k": ["a/b:z"]}, True),
    (f"{OPERATORS}: ? is one sign", "StringLike", "k", ["a?"], {"k": ["a"]}, False),
    (f"{OPERATORS}: case-sensitive", "StringLike", "k", ["A*"], {"k": ["ab"]}, False),
    (OPERATORS, "StringNotLike", "k", ["a*"], {"k": ["ab"]}, False),
    (f"{OPERATORS}: IfExists, missing", "StringEqualsIfExists", "k", ["a"], {}, True),
    (f"{OPERATORS}: IfExists, there", "StringEqualsIfExists", "k", ["a"], {"k": ["b"]}, False),
    (OPERATORS, "NumericLessThan", "k", ["10"], {"k": ["9"]}, True),
    (OPERATORS, "NumericLessThan", "k", ["10"], {"k": ["10"]}, False),
    (OPERATORS, "NumericLessThanEquals", "k", ["10"], {"k": ["10.0"]}, True),
    (OPERATORS, "NumericGreaterThan", "k", ["10"], {"k": ["9"]}, False),
    (OPERATORS, "NumericGreaterThanEquals", "k", ["10"], {"k": ["10"]}, True),
    (OPERATORS, "NumericEquals", "k", ["10"], {"k": ["10.00"]}, True),
    (f"{OPERATORS}: missing key, negated", "NumericNotEquals", "k", ["1"], {}, True),
    (
        "UG reference_policies_condition-keys aws:MultiFactorAuthAge [4.12]",
        "NumericLessThan",
        "aws:MultiFactorAuthAge",
        ["3600"],
        {},
        False,
    ),
    (OPERATORS, "DateLessThan", "k", ["2026-11-23T12:00:00Z"], {"k": ["1795435199"]}, True),
    (OPERATORS, "DateLessThan", "k", ["2026-11-23T12:00:00Z"], {"k": ["1795435200"]}, False),
    (
        f"{OPERATORS}: ISO 8601 with an offset",
        "DateEquals",
        "k",
        ["2026-11-23T12:00:00Z"],
        {"k": ["2026-11-23T13:00:00+01:00"]},
        True,
    ),
    (
        f"{OPERATORS}: epoch seconds in the policy",
        "DateGreaterThanEquals",
        "k",
        ["1795435200"],
        {"k": ["2026-11-23T12:00:00Z"]},
        True,
    ),
    (
        OPERATORS,
        "DateGreaterThan",
        "k",
        ["2026-11-23T12:00:00Z"],
        {"k": ["2026-11-23T12:00:00Z"]},
        False,
    ),
    (f"{OPERATORS}: missing key is false", "DateLessThan", "k", ["2026-11-23"], {}, False),
    (f"{OPERATORS}: missing key, negated", "DateNotEquals", "k", ["2026-11-23"], {}, True),
    (OPERATORS, "Bool", "k", ["true"], {"k": ["true"]}, True),
    (OPERATORS, "Bool", "k", ["true"], {"k": ["false"]}, False),
    ("[4.10] Bool without the key", "Bool", "k", ["true"], {}, False),
    ("[4.10] BoolIfExists without the key", "BoolIfExists", "k", ["true"], {}, True),
    ("[4.10] BoolIfExists false", "BoolIfExists", "k", ["false"], {"k": ["false"]}, True),
    (f"{OPERATORS}: Null true means absent", "Null", "k", ["true"], {}, True),
    (f"{OPERATORS}: Null true means absent", "Null", "k", ["true"], {"k": ["x"]}, False),
    (f"{OPERATORS}: Null false means there", "Null", "k", ["false"], {"k": ["x"]}, True),
    (f"{OPERATORS}: Null false means there", "Null", "k", ["false"], {}, False),
    (
        f"{OPERATORS}: ArnEquals and ArnLike are the same",
        "ArnEquals",
        "k",
        ["arn:aws:iam::aws:policy/*"],
        {"k": ["arn:aws:iam::aws:policy/job-function/ViewOnlyAccess"]},
        True,
    ),
    (
        f"{OPERATORS}: each part by itself",
        "ArnLike",
        "k",
        ["arn:aws:iam::*:policy/x"],
        {"k": ["arn:aws:iam::1:2:policy/x"]},
        False,
    ),
    (
        f"{OPERATORS}: six parts",
        "ArnLike",
        "k",
        ["arn:aws:iam::*"],
        {"k": ["arn:aws:iam::1:policy/x"]},
        False,
    ),
    (
        OPERATORS,
        "ArnNotLike",
        "k",
        ["arn:aws:iam::aws:policy/*"],
        {"k": [f"arn:aws:iam::{B}:policy/x"]},
        True,
    ),
    (
        f"{OPERATORS}: missing key, negated",
        "ArnNotEquals",
        "k",
        ["arn:aws:iam::aws:policy/*"],
        {},
        True,
    ),
    (SETS, "ForAllValues:StringLike", "k", ["a*"], {"k": ["ab", "ac"]}, True),
    (SETS, "ForAllValues:StringLike", "k", ["a*"], {"k": ["ab", "bc"]}, False),
    (f"{SETS}: missing key is true", "ForAllValues:StringLike", "k", ["a*"], {}, True),
    (f"{SETS}: no values is true", "ForAllValues:StringLike", "k", ["a*"], {"k": []}, True),
    (SETS, "ForAnyValue:StringEquals", "k", ["a"], {"k": ["b", "a"]}, True),
    (SETS, "ForAnyValue:StringEquals", "k", ["a"], {"k": ["b", "c"]}, False),
    (f"{SETS}: missing key is false", "ForAnyValue:StringEquals", "k", ["a"], {}, False),
    (f"{SETS}: missing, negated", "ForAnyValue:StringNotEquals", "k", ["a"], {}, False),
    (SETS, "ForAnyValue:StringNotEquals", "k", ["a"], {"k": ["a", "b"]}, True),
    (SETS, "ForAllValues:StringNotEquals", "k", ["a"], {"k": ["a", "b"]}, False),
    (
        "re:Post foranyvalue-stringequalsifexists (observed)",
        "ForAnyValue:StringEqualsIfExists",
        "k",
        ["a"],
        {},
        False,
    ),
    (
        VARIABLES,
        "StringEquals",
        "k",
        ["${aws:username}"],
        {"k": ["x"], "aws:username": ["x"]},
        True,
    ),
    (
        f"{VARIABLES}: without a value",
        "StringEquals",
        "k",
        ["${aws:username}"],
        {"k": ["x"]},
        False,
    ),
    (f"{VARIABLES}: default", "StringEquals", "k", ["${v, 'dflt'}"], {"k": ["dflt"]}, True),
    (f"{VARIABLES}: a literal star", "StringLike", "k", ["${*}"], {"k": ["x"]}, False),
    (f"{VARIABLES}: a literal star", "StringLike", "k", ["${*}"], {"k": ["*"]}, True),
    (
        f"{VARIABLES}: what is filled in has no wildcards",
        "StringLike",
        "k",
        ["${v}"],
        {"k": ["x"], "v": ["*"]},
        False,
    ),
]


def _ids(cases: list[Any]) -> Iterator[str]:
    return (f"{number}-{case[0]}" for number, case in enumerate(cases))


@pytest.mark.parametrize("case", CONDITIONS, ids=_ids(CONDITIONS))
def test_a_condition_holds_as_documented(case: Condition) -> None:
    _, operator, key, wanted, context, holds = case

    assert condition_holds(operator, key, wanted, context) is holds


# --- Actions and resources ---------------------------------------------------------------------

ACTIONS = [
    (ACTION, "*", "iam:GetRole", True),
    (ACTION, "iam:*", "iam:GetRole", True),
    (f"{ACTION}: case does not count", "IAM:getrole", "iam:GetRole", True),
    (ACTION, "iam:Get*Policy", "iam:GetRolePolicy", True),
    (ACTION, "iam:Get*", "iam:ListRoles", False),
    (f"{ACTION}: the service is compared whole", "sts:*", "sts-x:AssumeRole", False),
    (f"{ACTION}: ? is one sign", "s3:?etObject", "s3:GetObject", True),
]


@pytest.mark.parametrize("case", ACTIONS, ids=_ids(ACTIONS))
def test_an_action_matches_as_documented(case: tuple[str, str, str, bool]) -> None:
    _, pattern, action, matches = case

    assert matches_action(pattern, action) is matches


ROLE = f"arn:aws:iam::{B}:role/sallyport/R"
RESOURCES = [
    (RESOURCE, "*", ROLE, True),
    (RESOURCE, f"arn:aws:iam::{B}:role/sallyport/*", ROLE, True),
    (f"{RESOURCE}: * goes over slashes", f"arn:aws:iam::{B}:role/*", ROLE, True),
    (f"{RESOURCE}: with regard to case", f"arn:aws:iam::{B}:role/Sallyport/R", ROLE, False),
    (f"{RESOURCE}: the account is compared", f"arn:aws:iam::{A}:role/*", ROLE, False),
    (f"{RESOURCE}: missing parts are *", "arn:aws:iam", ROLE, True),
    (f"{RESOURCE}: * at the end of a part", "arn:aws:iam::*:role/sallyport/R", ROLE, True),
    (
        f"{RESOURCE}: * at the end of a part goes beyond the colon",
        "arn:aws:sqs:u*:1:q",
        "arn:aws:sqs:us:east:1:q",
        True,
    ),
    (
        f"{RESOURCE}: * inside a part does not",
        "arn:aws:sqs:u*t:1:q",
        "arn:aws:sqs:us:east:1:q",
        False,
    ),
    (f"{RESOURCE}: ? is one sign", f"arn:aws:iam::{B}:role/sallyport/?", ROLE, True),
    (f"{RESOURCE}: the whole is compared", f"arn:aws:iam::{B}:role/sallyport", ROLE, False),
]


@pytest.mark.parametrize("case", RESOURCES, ids=_ids(RESOURCES))
def test_a_resource_matches_as_documented(case: tuple[str, str, str, bool]) -> None:
    _, pattern, resource, matches = case

    assert matches_resource(pattern, resource) is matches


# --- What a principal may do -------------------------------------------------------------------


def policy(*statements: dict[str, Any], version: str = "2012-10-17") -> Document:
    return {"Version": version, "Statement": list(statements)}


def allow(action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource} | more


def deny(action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return allow(action, resource, **more) | {"Effect": "Deny"}


def user(*policies: Document, boundary: Document | None = None, account: str = A) -> Principal:
    arn = f"arn:aws:iam::{account}:user/ann"
    return Principal(arn, f"AIDA{account}", policies, boundary=boundary)


def role(
    *policies: Document, boundary: Document | None = None, trust: Document | None = None
) -> Principal:
    return Principal(ROLE, "AROAR", policies, boundary=boundary, trust=trust or NOTHING)


ALL = policy(allow())
BUCKET = "arn:aws:s3:::box"
HOME = "arn:aws:s3:::box/home/ann"
GET = "s3:GetObject"

type Doing = tuple[str, Principal, Document | None, Document | None, str, str, bool]
"""Rule, who, session policy, resource policy, action, resource, allowed."""


def named(principal: Any, effect: str = "Allow") -> Document:
    """A bucket policy for somebody."""
    return policy({"Effect": effect, "Principal": principal, "Action": GET, "Resource": "*"})


ANN = {"AWS": f"arn:aws:iam::{A}:user/ann"}
THE_ROLE = {"AWS": ROLE}
THE_SESSION = {"AWS": f"arn:aws:sts::{B}:assumed-role/R/session"}

DOINGS: list[Doing] = [
    (f"{LOGIC}: default deny", user(), None, None, GET, BUCKET, False),
    (f"{LOGIC}: an allow", user(ALL), None, None, GET, BUCKET, True),
    (f"{LOGIC}: explicit deny wins", user(ALL, policy(deny(GET))), None, None, GET, BUCKET, False),
    (
        "UG reference_policies_elements_notaction",
        user(policy({"Effect": "Allow", "NotAction": ["iam:*"], "Resource": "*"})),
        None,
        None,
        "iam:CreateUser",
        "*",
        False,
    ),
    (
        "UG reference_policies_elements_notaction",
        user(policy({"Effect": "Allow", "NotAction": ["iam:*"], "Resource": "*"})),
        None,
        None,
        GET,
        BUCKET,
        True,
    ),
    (
        "UG reference_policies_elements_notresource",
        user(ALL, policy({"Effect": "Deny", "Action": "*", "NotResource": [BUCKET]})),
        None,
        None,
        GET,
        BUCKET,
        True,
    ),
    (
        "UG reference_policies_elements_notresource",
        user(ALL, policy({"Effect": "Deny", "Action": "*", "NotResource": [BUCKET]})),
        None,
        None,
        GET,
        f"{BUCKET}2",
        False,
    ),
    (
        VARIABLES,
        user(policy(allow(GET, "arn:aws:s3:::box/home/${aws:username}"))),
        None,
        None,
        GET,
        HOME,
        True,
    ),
    (
        f"{VARIABLES}: none in version 2008-10-17",
        user(policy(allow(GET, "arn:aws:s3:::box/home/${aws:username}"), version="2008-10-17")),
        None,
        None,
        GET,
        HOME,
        False,
    ),
    (
        f"{VARIABLES}: a role has no aws:username [4.16]",
        role(policy(allow(GET, "arn:aws:s3:::box/home/${aws:username}"))),
        None,
        None,
        GET,
        HOME,
        False,
    ),
    (
        f"{BOUNDARIES}: both must allow",
        role(ALL, boundary=policy(allow("s3:*"))),
        None,
        None,
        GET,
        BUCKET,
        True,
    ),
    (
        f"{BOUNDARIES}: both must allow",
        role(ALL, boundary=policy(allow("ec2:*"))),
        None,
        None,
        GET,
        BUCKET,
        False,
    ),
    (f"{BOUNDARIES}: grants nothing [6.8]", role(boundary=ALL), None, None, GET, BUCKET, False),
    (
        f"{BOUNDARIES}: AdministratorAccess under it is the boundary [13.5]",
        role(ALL, boundary=policy(allow(), deny("iam:*"))),
        None,
        None,
        "iam:CreateUser",
        "*",
        False,
    ),
    (f"{SESSIONS}: narrows", role(ALL), policy(allow("ec2:*")), None, GET, BUCKET, False),
    (f"{SESSIONS}: lets through", role(ALL), policy(allow(GET)), None, GET, BUCKET, True),
    (f"{SESSIONS}: grants nothing", role(), ALL, None, GET, BUCKET, False),
    (f"{SESSIONS}: its deny wins", role(ALL), policy(allow(), deny(GET)), None, GET, BUCKET, False),
    (
        f"{LOGIC}: a resource policy naming the user suffices",
        user(),
        None,
        named(ANN),
        GET,
        BUCKET,
        True,
    ),
    (
        f"{BOUNDARIES}: does not limit a resource policy naming the user [6.8]",
        user(boundary=NOTHING),
        None,
        named(ANN),
        GET,
        BUCKET,
        True,
    ),
    (
        f"{BOUNDARIES}: its explicit deny does [6.8]",
        user(boundary=policy(deny())),
        None,
        named(ANN),
        GET,
        BUCKET,
        False,
    ),
    (
        f"{BOUNDARIES}: limits a resource policy naming the role",
        role(boundary=NOTHING),
        None,
        named(THE_ROLE),
        GET,
        BUCKET,
        False,
    ),
    (
        f"{SESSIONS}: limits a resource policy naming the role",
        role(),
        NOTHING,
        named(THE_ROLE),
        GET,
        BUCKET,
        False,
    ),
    (
        f"{SESSIONS}: does not limit one naming the session [5.7]",
        role(boundary=NOTHING),
        NOTHING,
        named(THE_SESSION),
        GET,
        BUCKET,
        True,
    ),
    (
        "[5.7] an explicit deny on the role still wins",
        role(policy(deny())),
        None,
        named(THE_SESSION),
        GET,
        BUCKET,
        False,
    ),
    (
        f"{PRINCIPAL}: the account delegates, the user's policy decides",
        user(),
        None,
        named({"AWS": A}),
        GET,
        BUCKET,
        False,
    ),
    (f"{LOGIC}: a resource policy's deny", user(ALL), None, named("*", "Deny"), GET, BUCKET, False),
    (
        f"{LOGIC}: across accounts the identity policy alone is too little",
        user(ALL),
        None,
        None,
        "sqs:SendMessage",
        f"arn:aws:sqs:eu-west-1:{B}:q",
        False,
    ),
    ("[5.8] under any deny", user(policy(deny())), None, None, "sts:GetCallerIdentity", "*", True),
]


@pytest.mark.parametrize("case", DOINGS, ids=_ids(DOINGS))
def test_a_principal_may_do_what_is_documented(case: Doing) -> None:
    _, who, session_policy, resource_policy, action, resource, allowed = case

    verdict = may_do(
        State((who,)),
        who.arn,
        action,
        resource,
        at=NOON,
        session_policy=session_policy,
        resource_policy=resource_policy,
    )

    assert verdict.allowed is allowed, verdict.why


# --- Who may enter a role ----------------------------------------------------------------------


def trusting(principal: Any, **condition: Any) -> Document:
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": principal,
        "Action": "sts:AssumeRole",
    }
    return policy(statement | ({"Condition": condition} if condition else {}))


BEN = {"AWS": f"arn:aws:iam::{B}:user/ann"}
SWITCH = policy(allow("sts:AssumeRole", f"arn:aws:iam::{B}:role/sallyport/*"))
WITH_MFA = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
IF_MFA = {"BoolIfExists": {"aws:MultiFactorAuthPresent": "true"}}
UNTIL_NOON = {"DateLessThan": {"aws:CurrentTime": "2026-11-23T12:00:00Z"}}
EXTERNAL = {"StringEquals": {"sts:ExternalId": "e-1"}}
NAMED_SESSION = {"StringEquals": {"sts:RoleSessionName": "${aws:username}"}}

type Entering = tuple[str, Principal, Document, dict[str, Any], bool]
"""Rule, who, the trust policy, how (`at`, `mfa`, `external_id`), allowed."""

ENTERINGS: list[Entering] = [
    ("[4.1] both sides", user(SWITCH), trusting(ANN), {}, True),
    ("[4.1] the trust alone", user(), trusting(ANN), {}, False),
    ("[4.1] the identity policy alone", user(SWITCH), trusting(BEN), {}, False),
    ("[4.1] the same account: trust suffices", user(account=B), trusting(BEN), {}, True),
    (
        "[6.11] the same account: an explicit deny still wins",
        user(policy(deny("sts:AssumeRole")), account=B),
        trusting(BEN),
        {},
        False,
    ),
    ("[4.2] the account's root is everybody", user(SWITCH), trusting({"AWS": A}), {}, True),
    (
        "[4.2] the long form",
        user(SWITCH),
        trusting({"AWS": f"arn:aws:iam::{A}:root"}),
        {},
        True,
    ),
    ("[4.2] the own account, without a policy", user(account=B), trusting({"AWS": B}), {}, False),
    ("[4.2] the own account, with one", user(SWITCH, account=B), trusting({"AWS": B}), {}, True),
    ("[4.5] a star is every principal", user(SWITCH), trusting({"AWS": "*"}), {}, True),
    ("[4.3] the id of one who is gone", user(SWITCH), trusting({"AWS": "AIDAGONE"}), {}, False),
    ("[4.3] the same name, another account", user(SWITCH), trusting(BEN), {}, False),
    (
        "[4.5] names are case-sensitive",
        user(SWITCH),
        trusting({"AWS": f"arn:aws:iam::{A}:user/Ann"}),
        {},
        False,
    ),
    (f"{PRINCIPAL}: service", user(SWITCH), trusting({"Service": "ec2.amazonaws.com"}), {}, False),
    ("[4.9] with MFA", user(SWITCH), trusting(ANN, **WITH_MFA), {"mfa": True}, True),
    ("[4.9] without MFA", user(SWITCH), trusting(ANN, **WITH_MFA), {"mfa": False}, False),
    ("[4.10] long-term keys, Bool", user(SWITCH), trusting(ANN, **WITH_MFA), {"mfa": None}, False),
    ("[4.10] long-term keys, IfExists", user(SWITCH), trusting(ANN, **IF_MFA), {"mfa": None}, True),
    ("[4.10] no MFA, IfExists", user(SWITCH), trusting(ANN, **IF_MFA), {"mfa": False}, False),
    ("[4.23] before", user(SWITCH), trusting(ANN, **UNTIL_NOON), {"at": NOON - SECOND}, True),
    ("[4.23] at the end", user(SWITCH), trusting(ANN, **UNTIL_NOON), {"at": NOON}, False),
    ("[4.23] after", user(SWITCH), trusting(ANN, **UNTIL_NOON), {"at": NOON + SECOND}, False),
    ("[4.19] no ExternalId", user(SWITCH), trusting(ANN, **EXTERNAL), {}, False),
    ("[4.19] the right one", user(SWITCH), trusting(ANN, **EXTERNAL), {"external_id": "e-1"}, True),
    ("[4.19] another", user(SWITCH), trusting(ANN, **EXTERNAL), {"external_id": "E-1"}, False),
    (
        "[4.16] a session named after the user",
        user(SWITCH),
        trusting(ANN, **NAMED_SESSION),
        {},
        True,
    ),
    (
        "[4.16] another session name",
        user(SWITCH),
        trusting(ANN, **NAMED_SESSION),
        {"session_name": "x"},
        False,
    ),
    (
        f"{LOGIC}: across accounts the caller's boundary counts",
        user(SWITCH, boundary=policy(allow("s3:*"))),
        trusting(ANN),
        {},
        False,
    ),
    (
        "[6.8] a boundary does not stop a user named in the same account",
        user(boundary=NOTHING, account=B),
        trusting(BEN),
        {},
        True,
    ),
    ("[4.25] AssumeRole on * opens it", user(ALL), trusting({"AWS": A}), {}, True),
    (
        "[4.4] aws:PrincipalArn is compared as text",
        user(SWITCH),
        trusting({"AWS": A}, ArnEquals={"aws:PrincipalArn": f"arn:aws:iam::{A}:user/ann"}),
        {},
        True,
    ),
]


@pytest.mark.parametrize("case", ENTERINGS, ids=_ids(ENTERINGS))
def test_a_user_enters_a_role_as_documented(case: Entering) -> None:
    _, who, trust, how, allowed = case
    state = State((who, role(trust=trust)))
    asked: dict[str, Any] = {"at": NOON, "mfa": True} | how

    verdict = may_enter(state, who.arn, ROLE, **asked)

    assert verdict.allowed is allowed, verdict.why


# --- Further rules -----------------------------------------------------------------------------


def test_a_user_made_anew_is_another_one() -> None:
    """[4.3]: the trust names the id of the first, and the second has the same ARN."""
    second = replace(user(SWITCH), unique_id="AIDASECOND")
    state = State((second, role(trust=trusting({"AWS": f"AIDA{A}"}))))

    assert not may_enter(state, second.arn, ROLE, at=NOON, mfa=True).allowed


def test_a_role_does_not_trust_itself() -> None:
    """[4.8]: since 2022 only where its own trust policy says so."""
    alone, trusted = role(ALL), role(ALL, trust=trusting(THE_ROLE))

    assert not may_enter(State((alone,)), ROLE, ROLE, at=NOON, mfa=None).allowed
    assert may_enter(State((trusted,)), ROLE, ROLE, at=NOON, mfa=None).allowed


def test_a_role_session_has_no_mfa() -> None:
    """[4.11]."""
    state = State((role(ALL, trust=trusting(THE_ROLE, **WITH_MFA)),))

    assert not may_enter(state, ROLE, ROLE, at=NOON, mfa=True).allowed


def test_a_session_of_a_role_that_was_made_anew_may_do_nothing() -> None:
    """[5.6]: the new role has a new id."""
    state = State((role(ALL),))

    assert may_do(state, Session("AROAR"), GET, BUCKET, at=NOON).allowed
    assert not may_do(state, Session("AROAOLD"), GET, BUCKET, at=NOON).allowed


def test_only_older_sessions_are_cut_by_their_issue_time() -> None:
    """[5.2]: AWSRevokeOlderSessions."""
    cut = deny(Condition={"DateLessThan": {"aws:TokenIssueTime": "2026-11-23T12:00:00Z"}})
    state = State((role(ALL, policy(cut)),))
    old = Session("AROAR", issued_at=NOON - SECOND)
    new = Session("AROAR", issued_at=NOON)

    assert not may_do(state, old, GET, BUCKET, at=NOON).allowed
    assert may_do(state, new, GET, BUCKET, at=NOON).allowed


def test_a_dated_deny_cuts_live_sessions_at_the_end() -> None:
    """[5.5]."""
    end = deny(Condition={"DateGreaterThanEquals": {"aws:CurrentTime": "2026-11-23T12:00:00Z"}})
    state = State((role(ALL, policy(end)),))

    assert may_do(state, ROLE, GET, BUCKET, at=NOON - SECOND).allowed
    assert not may_do(state, ROLE, GET, BUCKET, at=NOON).allowed


def test_one_session_is_told_by_its_userid() -> None:
    """[5.4]."""
    one = deny(Condition={"StringLike": {"aws:userid": "AROAR:ann"}})
    state = State((role(ALL, policy(one)),))

    assert not may_do(state, Session("AROAR", "ann"), GET, BUCKET, at=NOON).allowed
    assert may_do(state, Session("AROAR", "ben"), GET, BUCKET, at=NOON).allowed


def test_all_operators_and_all_keys_of_a_condition_must_hold() -> None:
    """UG reference_policies_condition-logic-multiple-context-keys-or-values."""
    state = State((user(SWITCH), role(trust=trusting(ANN, **WITH_MFA, **UNTIL_NOON))))
    early = NOON - SECOND

    assert may_enter(state, user().arn, ROLE, at=early, mfa=True).allowed
    assert not may_enter(state, user().arn, ROLE, at=early, mfa=False).allowed
    assert not may_enter(state, user().arn, ROLE, at=NOON, mfa=True).allowed


def test_a_key_of_other_calls_denies_where_it_is_missing() -> None:
    """[6.2], [6.3]: StringEquals on iam:PermissionsBoundary."""
    bounded = allow("iam:*", Condition={"StringEquals": {"iam:PermissionsBoundary": "b"}})
    state = State((user(policy(bounded)),))
    context = {"iam:PermissionsBoundary": ["b"]}

    asked = (user().arn, "iam:CreateRole", f"arn:aws:iam::{A}:role/x")
    assert may_do(state, *asked, at=NOON, context=context).allowed
    assert not may_do(state, *asked, at=NOON).allowed


def test_outsiders_that_the_trust_lets_in_are_told_as_it_names_them() -> None:
    """[4.2]: accounts that were not read may have anybody in them."""
    stranger = "arn:aws:iam::333333333333:root"
    trust = trusting({"AWS": [stranger, ANN["AWS"]], "Service": "ec2.amazonaws.com"}, **UNTIL_NOON)
    state = State((user(SWITCH), role(trust=trust)))

    found = who_may_enter(state, ROLE, at=NOON - SECOND, mfa=True)

    assert found == {user().arn, stranger, "ec2.amazonaws.com"}
    assert who_may_enter(state, ROLE, at=NOON, mfa=True) == set()


REFUSED = [
    ("NotPrincipal", {"NotPrincipal": ANN}, "NotPrincipal"),
    ("[4.5] a wildcard in a principal", {"Principal": {"AWS": f"arn:aws:iam::{A}:user/*"}}, "wild"),
    ("an unknown operator", {"Principal": ANN, "Condition": {"StringIs": {"k": "v"}}}, "unknown"),
    (
        "an operator that it does not know",
        {"Principal": ANN, "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}},
        "unknown",
    ),
    ("both Action and NotAction", {"Principal": ANN, "NotAction": "s3:*"}, "either Action"),
    ("an unknown element", {"Principal": ANN, "Actions": "x"}, "unknown elements"),
    ("no principal", {}, "Principal"),
]


@pytest.mark.parametrize("case", REFUSED, ids=_ids(REFUSED))
def test_what_cannot_be_judged_is_refused(case: tuple[str, dict[str, Any], str]) -> None:
    _, elements, words = case
    trust = policy({"Effect": "Allow", "Action": "sts:AssumeRole"} | elements)

    with pytest.raises(CannotJudge, match=words):
        may_enter(State((user(SWITCH), role(trust=trust))), user().arn, ROLE, at=NOON, mfa=True)


def test_there_are_at_least_sixty_cases() -> None:
    tables = (CONDITIONS, ACTIONS, RESOURCES, DOINGS, ENTERINGS)

    assert sum(len(table) for table in tables) >= 60
