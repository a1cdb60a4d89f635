"""Policy evaluation, as tables of cases worked by hand from the IAM User Guide."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from sandbox.evaluation import (
    Decision,
    Layer,
    Malformed,
    Policies,
    Policy,
    Principal,
    Request,
    Trust,
    arn_like,
    decide,
    load_document,
    may_assume,
    parse_policy,
    trust,
)

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
ROLE = "arn:aws:iam::222222222222:role/sallyport/Reader"


def document(*statements: dict[str, Any], version: str = "2012-10-17") -> Policy:
    return parse_policy(json.dumps({"Version": version, "Statement": list(statements)}))


def allow(action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": action, "Resource": resource, **more}


def request(action: str = "iam:GetRole", resource: str = ROLE, **keys: Any) -> Request:
    return Request.at(NOW, action, resource, {name.replace("__", ":"): keys[name] for name in keys})


def allows(*statements: dict[str, Any], to: Request) -> bool:
    return decide(to, Policies((document(*statements),))).allowed


# Conditions: (Condition element, keys of the request, is it true)

MFA = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
CONDITIONS = [
    # Strings
    ({"StringEquals": {"aws:username": "alice"}}, {"aws:username": "alice"}, True),
    ({"StringEquals": {"aws:username": "alice"}}, {"aws:username": "Alice"}, False),
    ({"StringEquals": {"aws:username": ["bob", "alice"]}}, {"aws:username": "alice"}, True),
    ({"StringEquals": {"AWS:UserName": "alice"}}, {"aws:username": "alice"}, True),
    ({"StringEquals": {"aws:username": "al*"}}, {"aws:username": "alice"}, False),
    ({"StringEqualsIgnoreCase": {"aws:username": "ALICE"}}, {"aws:username": "alice"}, True),
    ({"StringNotEquals": {"aws:username": "bob"}}, {"aws:username": "alice"}, True),
    ({"StringNotEquals": {"aws:username": ["bob", "alice"]}}, {"aws:username": "alice"}, False),
    ({"StringNotEqualsIgnoreCase": {"aws:username": "ALICE"}}, {"aws:username": "alice"}, False),
    ({"StringLike": {"aws:username": "a?i*"}}, {"aws:username": "alice"}, True),
    ({"StringLike": {"aws:username": "*b*"}}, {"aws:username": "alice"}, False),
    ({"StringLike": {"aws:username": "a[lm]ice"}}, {"aws:username": "alice"}, False),
    ({"StringNotLike": {"aws:username": "b*"}}, {"aws:username": "alice"}, True),
    # An absent key: false, but true for negated operators and IfExists
    ({"StringEquals": {"sts:ExternalId": "x1"}}, {}, False),
    ({"StringLike": {"sts:ExternalId": "*"}}, {}, False),
    ({"StringNotEquals": {"sts:ExternalId": "x1"}}, {}, True),
    ({"StringEqualsIfExists": {"sts:ExternalId": "x1"}}, {}, True),
    ({"StringEqualsIfExists": {"sts:ExternalId": "x1"}}, {"sts:ExternalId": "x2"}, False),
    ({"ArnLike": {"iam:PolicyARN": "*"}}, {}, False),
    ({"NumericLessThan": {"aws:MultiFactorAuthAge": "3600"}}, {}, False),
    # Bool, and the two ways to write an MFA condition
    (MFA, {"aws:MultiFactorAuthPresent": "true"}, True),
    (MFA, {"aws:MultiFactorAuthPresent": "false"}, False),
    (MFA, {}, False),
    ({"Bool": {"aws:MultiFactorAuthPresent": True}}, {"aws:MultiFactorAuthPresent": "true"}, True),
    ({"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}, {}, True),
    (
        {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}},
        {"aws:MultiFactorAuthPresent": "true"},
        False,
    ),
    # Null
    ({"Null": {"aws:TokenIssueTime": "true"}}, {}, True),
    ({"Null": {"aws:TokenIssueTime": "true"}}, {"aws:TokenIssueTime": "2026-11-23"}, False),
    ({"Null": {"aws:TokenIssueTime": "false"}}, {"aws:TokenIssueTime": "2026-11-23"}, True),
    ({"Null": {"aws:TokenIssueTime": False}}, {}, False),
    # Dates; the call is made on 2026-11-23 at 12:00:00 UTC
    ({"DateLessThan": {"aws:CurrentTime": "2026-11-23T12:00:01Z"}}, {}, True),
    ({"DateLessThan": {"aws:CurrentTime": "2026-11-23T12:00:00Z"}}, {}, False),
    ({"DateLessThanEquals": {"aws:CurrentTime": "2026-11-23T12:00:00Z"}}, {}, True),
    ({"DateGreaterThanEquals": {"aws:CurrentTime": "2026-11-23T12:00:00Z"}}, {}, True),
    ({"DateGreaterThan": {"aws:CurrentTime": "2026-11-23T13:00:00+02:00"}}, {}, True),
    ({"DateGreaterThan": {"aws:CurrentTime": "2026"}}, {}, True),
    ({"DateLessThan": {"aws:CurrentTime": "2026-12"}}, {}, True),
    ({"DateEquals": {"aws:CurrentTime": "1795435200"}}, {}, True),
    ({"DateLessThan": {"aws:EpochTime": "1795435201"}}, {}, True),
    ({"NumericLessThan": {"aws:EpochTime": "1795435201"}}, {}, True),
    ({"DateNotEquals": {"aws:CurrentTime": "2026-11-23"}}, {}, True),
    ({"DateLessThan": {"aws:CurrentTime": "soon"}}, {}, False),
    (
        {"DateLessThan": {"aws:TokenIssueTime": "2026-11-23T12:00:00Z"}},
        {"aws:TokenIssueTime": "2026-11-23T11:59:59+00:00"},
        True,
    ),
    ({"DateLessThan": {"aws:TokenIssueTime": "2026-11-23T12:00:00Z"}}, {}, False),
    # Numbers
    (
        {"NumericLessThan": {"aws:MultiFactorAuthAge": "3600"}},
        {"aws:MultiFactorAuthAge": "9"},
        True,
    ),
    (
        {"NumericEquals": {"aws:MultiFactorAuthAge": "3600"}},
        {"aws:MultiFactorAuthAge": "3600"},
        True,
    ),
    (
        {"NumericGreaterThanEquals": {"aws:MultiFactorAuthAge": 10}},
        {"aws:MultiFactorAuthAge": "9"},
        False,
    ),
    ({"NumericNotEquals": {"aws:MultiFactorAuthAge": "1"}}, {"aws:MultiFactorAuthAge": "2"}, True),
    ({"NumericEquals": {"aws:username": "1"}}, {"aws:username": "alice"}, False),
    # ARNs are compared part by part, with wildcards in ArnEquals too
    (
        {"ArnLike": {"iam:PolicyARN": "arn:aws:iam::aws:policy/Read*"}},
        {"iam:PolicyARN": "arn:aws:iam::aws:policy/ReadOnlyAccess"},
        True,
    ),
    (
        {"ArnEquals": {"iam:PolicyARN": "arn:aws:iam::*:policy/*"}},
        {"iam:PolicyARN": "arn:aws:iam::222222222222:policy/a/b"},
        True,
    ),
    (
        {"ArnNotLike": {"iam:PolicyARN": "arn:aws:iam::aws:policy/*"}},
        {"iam:PolicyARN": "arn:aws:iam::222222222222:policy/x"},
        True,
    ),
    (
        {"ArnNotEquals": {"iam:PolicyARN": "arn:aws:iam::aws:policy/X"}},
        {"iam:PolicyARN": "arn:aws:iam::aws:policy/X"},
        False,
    ),
    # Addresses
    ({"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}, {"aws:SourceIp": "203.0.113.9"}, True),
    ({"IpAddress": {"aws:SourceIp": "203.0.113.9"}}, {"aws:SourceIp": "203.0.113.8"}, False),
    ({"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}}, {"aws:SourceIp": "2001:db8::1"}, True),
    # Set operators
    ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}, {"aws:TagKeys": ["a"]}, True),
    (
        {"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}},
        {"aws:TagKeys": ["a", "c"]},
        False,
    ),
    ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a"]}}, {}, True),
    ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a"]}}, {"aws:TagKeys": [""]}, True),
    ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["a", "b"]}}, {"aws:TagKeys": ["c", "b"]}, True),
    ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["a", "b"]}}, {"aws:TagKeys": ["c"]}, False),
    ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["a"]}}, {}, False),
    ({"ForAllValues:StringLike": {"aws:TagKeys": "sallyport:*"}}, {"aws:TagKeys": ["x"]}, False),
    ({"ForAllValues:StringNotEquals": {"aws:TagKeys": ["a"]}}, {"aws:TagKeys": ["b", "c"]}, True),
    ({"ForAllValues:StringNotEquals": {"aws:TagKeys": ["a"]}}, {"aws:TagKeys": ["a", "c"]}, False),
    ({"ForAnyValue:StringNotEquals": {"aws:TagKeys": ["a"]}}, {"aws:TagKeys": ["a", "c"]}, True),
    ({"ForAnyValue:StringNotEquals": {"aws:TagKeys": ["a"]}}, {}, False),
    # Several keys and operators must all be true
    (
        {"StringEquals": {"aws:username": "alice", "sts:ExternalId": "x1"}},
        {"aws:username": "alice"},
        False,
    ),
    (
        {**MFA, "DateLessThan": {"aws:CurrentTime": "2026-11-24T00:00:00Z"}},
        {"aws:MultiFactorAuthPresent": "true"},
        True,
    ),
    (
        {**MFA, "DateLessThan": {"aws:CurrentTime": "2026-11-23T00:00:00Z"}},
        {"aws:MultiFactorAuthPresent": "true"},
        False,
    ),
    # Variables
    (
        {"StringEquals": {"sts:RoleSessionName": "${aws:username}"}},
        {"sts:RoleSessionName": "a"},
        False,
    ),
    (
        {"StringEquals": {"sts:RoleSessionName": "${aws:username}"}},
        {"sts:RoleSessionName": "alice", "aws:username": "alice"},
        True,
    ),
    (
        {"StringLike": {"sts:RoleSessionName": "${aws:username}-*"}},
        {"sts:RoleSessionName": "alice-1", "aws:username": "alice"},
        True,
    ),
    # A variable without a value equals nothing, so the negated operator is true.
    (
        {"StringNotEquals": {"sts:RoleSessionName": "${aws:username}"}},
        {"sts:RoleSessionName": "a"},
        True,
    ),
    (
        {"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team, 'none'}"}},
        {"aws:ResourceTag/team": "none"},
        True,
    ),
    ({"StringLike": {"aws:username": "${*}"}}, {"aws:username": "alice"}, False),
    ({"StringLike": {"aws:username": "${*}${$}"}}, {"aws:username": "*$"}, True),
    # A wildcard inside a value is no wildcard.
    (
        {"StringLike": {"sts:RoleSessionName": "${aws:PrincipalTag/name}"}},
        {"sts:RoleSessionName": "bob", "aws:PrincipalTag/name": "*"},
        False,
    ),
    # A key with several values is no variable.
    (
        {"StringEquals": {"sts:RoleSessionName": "${aws:TagKeys}"}},
        {"sts:RoleSessionName": "a", "aws:TagKeys": ["a", "b"]},
        False,
    ),
]


@pytest.mark.parametrize(("condition", "keys", "expected"), CONDITIONS)
def test_condition(condition: dict[str, Any], keys: dict[str, Any], expected: bool) -> None:
    asked = Request.at(NOW, "iam:GetRole", ROLE, keys)
    assert allows(allow(Condition=condition), to=asked) is expected
    assert decide(asked, Policies((document(allow(), deny(Condition=condition)),))).allowed is not (
        expected
    )


def test_old_version_takes_a_variable_as_text() -> None:
    condition = {"StringEquals": {"aws:username": "${aws:username}"}}
    old = document(allow(Condition=condition), version="2008-10-17")
    assert not decide(request(aws__username="alice"), Policies((old,))).allowed
    assert decide(request(aws__username="${aws:username}"), Policies((old,))).allowed


def test_unknown_operator_voids_an_allow_and_keeps_a_deny() -> None:
    strange = {"GeoNear": {"aws:SourceIp": "x"}}
    assert not allows(allow(Condition=strange), to=request())
    assert not allows(allow(), deny(Condition=strange), to=request())


# Actions: (element, value, action, is it covered)

ACTIONS = [
    ("Action", "iam:GetRole", "iam:GetRole", True),
    ("Action", "IAM:getrole", "iam:GetRole", True),
    ("Action", "iam:Get*", "iam:GetRole", True),
    ("Action", "iam:*Role", "iam:GetRole", True),
    ("Action", "iam:GetRol?", "iam:GetRole", True),
    ("Action", "iam:GetRol?", "iam:GetRolePolicy", False),
    ("Action", "*", "iam:GetRole", True),
    ("Action", "*:*", "iam:GetRole", True),
    ("Action", "i*:GetRole", "iam:GetRole", True),
    ("Action", "sts:*", "iam:GetRole", False),
    ("Action", ["s3:*", "iam:GetRole"], "iam:GetRole", True),
    ("Action", [], "iam:GetRole", False),
    ("NotAction", "iam:*", "iam:GetRole", False),
    ("NotAction", "iam:*", "sts:AssumeRole", True),
    ("NotAction", ["sts:*", "iam:Get*"], "iam:PutRolePolicy", True),
]


@pytest.mark.parametrize(("element", "value", "action", "covered"), ACTIONS)
def test_action(element: str, value: Any, action: str, covered: bool) -> None:
    statement = {"Effect": "Allow", element: value, "Resource": "*"}
    assert allows(statement, to=request(action)) is covered


# Resources: (element, value, resource, is it covered)

RESOURCES = [
    ("Resource", "*", ROLE, True),
    ("Resource", ROLE, ROLE, True),
    ("Resource", "arn:aws:iam::222222222222:role/sallyport/*", ROLE, True),
    ("Resource", "arn:aws:iam::222222222222:role/Sallyport/*", ROLE, False),
    ("Resource", "arn:aws:iam::222222222222:role/other/*", ROLE, False),
    ("Resource", "arn:aws:iam::222222222222:role/*", ROLE, True),
    ("Resource", "arn:aws:iam::*:role/sallyport/Reader", ROLE, True),
    ("Resource", "arn:aws:iam::111111111111:role/sallyport/*", ROLE, False),
    ("Resource", "arn:aws-cn:iam::222222222222:role/*", ROLE, False),
    ("Resource", "arn:aws:iam::222222222222:role/sallyport/Reade?", ROLE, True),
    ("Resource", ["arn:aws:s3:::x", "arn:aws:iam::222222222222:role/*"], ROLE, True),
    # A wildcard stays inside its part of the ARN, but for the last.
    ("Resource", "arn:aws:iam:*role/sallyport/Reader", ROLE, False),
    ("Resource", "arn:aws:iam", ROLE, True),
    ("Resource", "arn:aws:iam::222222222222:*", ROLE, True),
    # Actions without a resource of their own need the plain "*".
    ("Resource", "arn:aws:iam::222222222222:role/*", "*", False),
    ("Resource", "*", "*", True),
    ("NotResource", "arn:aws:iam::222222222222:role/sallyport/*", ROLE, False),
    ("NotResource", "arn:aws:iam::222222222222:role/other/*", ROLE, True),
    ("Resource", "arn:aws:iam::222222222222:role/sallyport/${aws:username}", ROLE, True),
    ("Resource", "arn:aws:iam::222222222222:role/${aws:PrincipalTag/x}/*", ROLE, False),
    ("Resource", "arn:aws:iam::${aws:PrincipalAccount}:role/*", ROLE, True),
]


@pytest.mark.parametrize(("element", "value", "resource", "covered"), RESOURCES)
def test_resource(element: str, value: Any, resource: str, covered: bool) -> None:
    keys = {"aws:username": "Reader", "aws:PrincipalAccount": "222222222222"}
    asked = Request.at(NOW, "iam:GetRole", resource, keys)
    assert allows({"Effect": "Allow", "Action": "*", element: value}, to=asked) is covered


def test_wildcard_does_not_reach_over_a_colon() -> None:
    assert not arn_like("arn:aws:iam::2*:role/x", "arn:aws:iam::1:2:role/x")


# Layers: identity policies, boundary, session policy

READ, WRITE, DENY = document(allow("iam:Get*")), document(allow("iam:Put*")), document(deny())
LAYERS = [
    # identity, boundary, session, allowed, the end of AWS's sentence
    ((), None, None, False, "because no identity-based policy allows the iam:GetRole action"),
    ((READ,), None, None, True, ""),
    ((WRITE, READ), None, None, True, ""),
    ((READ, DENY), None, None, False, "with an explicit deny in an identity-based policy"),
    ((READ,), (READ,), None, True, ""),
    (
        (READ,),
        (WRITE,),
        None,
        False,
        "because no permissions boundary allows the iam:GetRole action",
    ),
    ((READ,), (), None, False, "because no permissions boundary allows the iam:GetRole action"),
    ((READ,), (READ, DENY), None, False, "with an explicit deny in a permissions boundary"),
    ((READ,), None, (READ,), True, ""),
    ((READ,), None, (WRITE,), False, "because no session policy allows the iam:GetRole action"),
    ((READ,), None, (DENY,), False, "with an explicit deny in a session policy"),
    ((READ,), (READ,), (WRITE, READ), True, ""),
    ((), (READ,), (READ,), False, "because no identity-based policy allows the iam:GetRole action"),
    ((), (), (DENY,), False, "with an explicit deny in a session policy"),
]


@pytest.mark.parametrize(("identity", "boundary", "session", "allowed", "reason"), LAYERS)
def test_layers(identity: Any, boundary: Any, session: Any, allowed: bool, reason: str) -> None:
    decision = decide(request(), Policies(identity, boundary, session))
    assert decision.allowed is allowed
    if reason:
        assert decision.reason("iam:GetRole") == reason


def test_dated_deny_begins_on_the_second() -> None:
    end = {"DateGreaterThanEquals": {"aws:CurrentTime": "2026-11-23T12:00:00Z"}}
    policies = Policies((document(allow(), deny(Condition=end)),))
    before = datetime(2026, 11, 23, 11, 59, 59, 999999, tzinfo=UTC)
    assert decide(Request.at(before, "iam:GetRole", ROLE, {}), policies).allowed
    assert decide(Request.at(NOW, "iam:GetRole", ROLE, {}), policies).denied_by is Layer.IDENTITY


# Trust policies: (Principal AWS, further elements, caller, what it says)

USER = Principal("111111111111", "AIDAUSERAUSERAUSERAAA")
SESSION = Principal(
    "111111111111",
    "AROAROLEAROLEAROLEAAA",
    "arn:aws:sts::111111111111:assumed-role/Worker/job",
)
TRUSTS = [
    ("AIDAUSERAUSERAUSERAAA", USER, Trust.CALLER),
    ("AIDASOMEBODYELSEAAAAA", USER, Trust.SILENT),
    (["AIDASOMEBODYELSEAAAAA", "AIDAUSERAUSERAUSERAAA"], USER, Trust.CALLER),
    ("arn:aws:iam::111111111111:root", USER, Trust.ACCOUNT),
    ("111111111111", USER, Trust.ACCOUNT),
    ("arn:aws:iam::333333333333:root", USER, Trust.SILENT),
    # An ARN that was not bound to an id on writing belongs to nobody.
    ("arn:aws:iam::111111111111:user/userA", USER, Trust.SILENT),
    ("*", USER, Trust.CALLER),
    ("AROAROLEAROLEAROLEAAA", SESSION, Trust.ROLE),
    ("arn:aws:sts::111111111111:assumed-role/Worker/job", SESSION, Trust.CALLER),
    ("arn:aws:sts::111111111111:assumed-role/Worker/other", SESSION, Trust.SILENT),
    ("arn:aws:iam::111111111111:root", SESSION, Trust.ACCOUNT),
    ("*", SESSION, Trust.ROLE),
]


def trust_policy(effect: str, principal: Any, **more: Any) -> dict[str, Any]:
    body = {"Effect": effect, "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"}
    return body | more


@pytest.mark.parametrize(("principal", "caller", "expected"), TRUSTS)
def test_trust(principal: Any, caller: Principal, expected: Trust) -> None:
    found = trust(request("sts:AssumeRole"), document(trust_policy("Allow", principal)), caller)
    assert found is expected


def test_trust_takes_the_most_that_any_statement_gives() -> None:
    both = document(trust_policy("Allow", USER.unique_id), trust_policy("Allow", USER.account))
    assert trust(request("sts:AssumeRole"), both, USER) is Trust.CALLER


def test_trust_denies_where_any_statement_denies() -> None:
    both = document(trust_policy("Deny", USER.account), trust_policy("Allow", USER.unique_id))
    assert trust(request("sts:AssumeRole"), both, USER) is Trust.DENIED


def test_trust_with_a_false_condition_is_silent() -> None:
    guarded = document(trust_policy("Allow", USER.unique_id, Condition=MFA))
    assert trust(request("sts:AssumeRole"), guarded, USER) is Trust.SILENT
    shown = request("sts:AssumeRole", aws__MultiFactorAuthPresent="true")
    assert trust(shown, guarded, USER) is Trust.CALLER


def test_trust_for_another_action_is_silent() -> None:
    plain = document(trust_policy("Allow", USER.unique_id))
    assert trust(request("sts:TagSession"), plain, USER) is Trust.SILENT


def test_trust_in_a_service_is_none_in_a_user() -> None:
    service = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}}
    policy = document(service | {"Action": "sts:AssumeRole"})
    assert trust(request("sts:AssumeRole"), policy, USER) is Trust.SILENT


# Both sides of AssumeRole

YES = Decision(None, ())
NO = Decision(None, (Layer.IDENTITY,))
BOUNDED = Decision(None, (Layer.IDENTITY, Layer.BOUNDARY))
DENIED = Decision(Layer.IDENTITY, ())
SIDES = [
    # trust, the caller's own policies, same account, allowed
    (Trust.CALLER, YES, False, True),
    (Trust.CALLER, NO, False, False),
    (Trust.ACCOUNT, YES, False, True),
    (Trust.ACCOUNT, NO, False, False),
    (Trust.SILENT, YES, False, False),
    (Trust.SILENT, YES, True, False),
    (Trust.CALLER, NO, True, True),
    (Trust.ACCOUNT, NO, True, False),
    (Trust.ACCOUNT, YES, True, True),
    (Trust.CALLER, DENIED, True, False),
    (Trust.DENIED, YES, True, False),
    # Named by its role, a session is still held by a boundary; named itself it is not.
    (Trust.ROLE, NO, True, True),
    (Trust.ROLE, BOUNDED, True, False),
    (Trust.CALLER, BOUNDED, True, True),
]


@pytest.mark.parametrize(("trusted", "own", "same_account", "allowed"), SIDES)
def test_both_sides(trusted: Trust, own: Decision, same_account: bool, allowed: bool) -> None:
    assert may_assume(trusted, own, same_account=same_account) is allowed


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '"x"', '{"a": 1, "a": 2}', '{"a": {"b": 1, "b": 1}}', '{"a": NaN}']
)
def test_document_that_iam_would_not_store(text: str) -> None:
    with pytest.raises(Malformed):
        load_document(text)
