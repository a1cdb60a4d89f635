"""What a profile's inline policy may say. No database."""

import json
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from accounts import inline_policy

ALLOW = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
VERSION = "2012-10-17"


def policy(*statements: Any, **more: Any) -> dict[str, Any]:
    return {"Version": VERSION, "Statement": list(statements)} | more


def told(text: str) -> list[tuple[str, str]]:
    """Messages and codes of a refusal."""
    with pytest.raises(ValidationError) as caught:
        inline_policy.parse(text)
    return [(one.messages[0], str(one.code)) for one in caught.value.error_list]


@pytest.mark.parametrize(
    "document",
    [
        policy(ALLOW),
        {"Version": VERSION, "Statement": ALLOW},
        policy(ALLOW, Id="team-7"),
        policy(ALLOW | {"Sid": "One"}, ALLOW | {"Sid": "Two"}, ALLOW),
        policy(ALLOW | {"Action": ["s3:Get*", "ec2:Describe?ags", "*"], "Resource": ["a", "b"]}),
        policy({"Effect": "Deny", "NotAction": "iam:*", "NotResource": "arn:aws:iam::*:role/x"}),
        policy(ALLOW | {"Condition": {"StringEquals": {"aws:ResourceTag/té": ["ü", "y"]}}}),
        policy(ALLOW | {"Condition": {"Bool": {"aws:SecureTransport": True}}}),
        policy(ALLOW | {"Condition": {"NumericLessThan": {"aws:MultiFactorAuthAge": 3600}}}),
    ],
)
def test_what_aws_takes_is_taken_as_it_is(document: dict[str, Any]) -> None:
    assert inline_policy.parse(json.dumps(document, indent=2)) == document


@pytest.mark.parametrize(
    ("text", "message", "code"),
    [
        ("[]", "A policy is one JSON object: it begins with { and ends with }.", "policy_object"),
        ('"x"', "A policy is one JSON object: it begins with { and ends with }.", "policy_object"),
        (
            '{"Version": ,}',
            "This is not valid JSON: Expecting value (line 1, column 13).",
            "policy_json",
        ),
        (
            json.dumps(policy(ALLOW)) + "\n{}",
            "This is not valid JSON: Extra data (line 2, column 1).",
            "policy_json",
        ),
        (
            f'{{"Version": {"9" * 5000}}}',
            "This is not valid JSON: a number is too long.",
            "policy_json",
        ),
        (
            '{"Statement": [], "Version": "x", "Statement": []}',
            "The key “Statement” stands twice in the same object.",
            "policy_duplicate_key",
        ),
        (
            '{"Statement": {"Condition": {"Bool": {"a": 1, "a": 2}}}}',
            "The key “a” stands twice in the same object.",
            "policy_duplicate_key",
        ),
        ('{"Version": NaN}', "NaN is not a JSON value.", "policy_number"),
        ('{"Version": -Infinity}', "-Infinity is not a JSON value.", "policy_number"),
        ('{"Version": 1e999}', "The number 1e999 is too large.", "policy_number"),
        (
            '{"Version":\n"€"}',
            "Line 2 holds the character U+20AC. AWS takes tabs, line ends and the characters "
            "U+0020 to U+00FF only.",
            "policy_characters",
        ),
        (
            "[" * 100_000,
            "The document is nested more than 20 levels deep.",
            "policy_depth",
        ),
    ],
)
def test_text_that_is_no_document_is_refused_with_the_reason(
    text: str, message: str, code: str
) -> None:
    assert told(text) == [(message, code)]


@pytest.mark.parametrize(
    ("document", "message", "code"),
    [
        (
            {"Statement": [ALLOW]},
            'Write "Version": "2012-10-17": with any other, AWS reads variables as text.',
            "policy_version",
        ),
        (
            policy(ALLOW, Version="2008-10-17"),
            'Write "Version": "2012-10-17": with any other, AWS reads variables as text.',
            "policy_version",
        ),
        ({"Version": VERSION}, "The policy needs at least one statement.", "policy_statement"),
        (policy(), "The policy needs at least one statement.", "policy_statement"),
        (policy("x"), "Statement 1 is not a JSON object.", "policy_statement"),
        (
            policy(ALLOW, statement=1),
            "A policy has no element “statement”.",
            "policy_unknown_element",
        ),
        (
            policy(ALLOW | {"Principal": "*"}),
            "Statement 1: remove Principal; who may use the role is Sallyport's to say.",
            "policy_principal",
        ),
        (
            policy(ALLOW, ALLOW | {"NotPrincipal": {"AWS": "x"}}),
            "Statement 2: remove NotPrincipal; who may use the role is Sallyport's to say.",
            "policy_principal",
        ),
        (
            policy(ALLOW | {"Actions": "x"}),
            "Statement 1: there is no element “Actions”.",
            "policy_unknown_element",
        ),
        (
            policy(ALLOW | {"Effect": "allow"}),
            'Statement 1: Effect must be "Allow" or "Deny".',
            "policy_effect",
        ),
        (
            policy(ALLOW | {"Effect": ["Allow"]}),
            'Statement 1: Effect must be "Allow" or "Deny".',
            "policy_effect",
        ),
        (
            policy({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}),
            "Statement 1: NotAction with Allow grants everything else, also what AWS adds later; "
            "name the actions instead.",
            "policy_not_action",
        ),
        (
            policy({"Effect": "Allow", "Resource": "*"}),
            "Statement 1: it needs either Action or NotAction, and not both.",
            "policy_action",
        ),
        (
            policy({"Effect": "Deny", "Action": "*", "NotAction": "*", "Resource": "*"}),
            "Statement 1: it needs either Action or NotAction, and not both.",
            "policy_action",
        ),
        (
            policy({"Effect": "Allow", "Action": "*"}),
            "Statement 1: it needs either Resource or NotResource, and not both.",
            "policy_resource",
        ),
        (
            policy(ALLOW | {"Action": []}),
            "Statement 1: Action must be a text or a list of texts.",
            "policy_action",
        ),
        (
            policy(ALLOW | {"Resource": ["a", 1]}),
            "Statement 1: Resource must be a text or a list of texts.",
            "policy_resource",
        ),
        (
            policy(ALLOW | {"Action": "GetObject"}),
            "Statement 1: “GetObject” is not an action, such as s3:GetObject.",
            "policy_action",
        ),
        (
            policy(ALLOW | {"Sid": "has space"}),
            "Statement 1: a Sid has letters and digits only.",
            "policy_sid",
        ),
        (
            policy(ALLOW | {"Sid": "A"}, ALLOW | {"Sid": "A"}),
            "Statement 2: the Sid “A” is taken.",
            "policy_sid",
        ),
        (
            policy(ALLOW | {"Condition": {"Bool": "x"}}),
            "Statement 1: Condition must be an object of operators, each with keys and values.",
            "policy_condition",
        ),
    ],
)
def test_a_document_that_must_not_be_is_refused_with_the_reason(
    document: dict[str, Any], message: str, code: str
) -> None:
    assert told(json.dumps(document)) == [(message, code)]


@pytest.mark.parametrize("escape", ["\\u0000", "\\u20ac", "\\ud800"])
def test_an_escape_hides_no_character(escape: str) -> None:
    text = json.dumps(policy(ALLOW | {"Resource": "here"})).replace("here", escape)
    assert [code for _, code in told(text)] == ["policy_characters"]


def test_every_problem_is_told_at_once() -> None:
    document = {"Statement": [{"Effect": "Maybe", "Principal": "*", "Resource": "*"}]}
    assert [code for _, code in told(json.dumps(document))] == [
        "policy_version",
        "policy_principal",
        "policy_effect",
        "policy_action",
    ]


def _nested(levels: int) -> str:
    """A document of so many levels; two are the policy and its statement."""
    inner = levels - 3
    condition = '{"a":' * inner + "{}" + "}" * inner
    return (
        f'{{"Version": "{VERSION}", "Statement": {{"Effect": "Allow", "Action": "*", '
        f'"Resource": "*", "Condition": {condition}}}}}'
    )


def test_twenty_levels_are_taken_and_one_more_is_refused() -> None:
    assert inline_policy.parse(_nested(20))
    assert told(_nested(21)) == [
        ("The document is nested more than 20 levels deep.", "policy_depth")
    ]


def test_white_space_does_not_count_towards_the_size() -> None:
    room = inline_policy.MAX_SIZE - inline_policy.size(policy(ALLOW | {"Resource": ""}))
    document = policy(ALLOW | {"Resource": "x" * room})
    assert inline_policy.size(document) == 9_900
    assert inline_policy.parse(json.dumps(document, indent=8)) == document
    too_long = policy(ALLOW | {"Resource": "x" * (room + 1)})
    assert told(json.dumps(too_long)) == [
        (
            "The document has 9,901 characters without white space; at most 9,900 fit on a role "
            "beside Sallyport's own policies.",
            "policy_size",
        )
    ]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "Version",
                        "Statement",
                        "Effect",
                        "Action",
                        "Resource",
                        "Sid",
                        "Condition",
                        "x",
                    ]
                ),
                inner,
                max_size=5,
            )
        ),
        max_leaves=30,
    )
)
def test_whatever_is_sent_is_taken_or_refused_and_never_fails(value: Any) -> None:
    try:
        document = inline_policy.parse(json.dumps(value))
    except ValidationError:
        return
    assert document == value


@given(st.text(max_size=200))
def test_whatever_is_typed_is_refused_and_never_fails(text: str) -> None:
    with pytest.raises(ValidationError):
        inline_policy.parse(text)
