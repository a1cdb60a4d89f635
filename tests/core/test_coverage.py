"""Whether one statement gives at least what another gives."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.core.coverage import (
    EVERYTHING,
    PATTERN_LIMIT,
    Selector,
    actions,
    covers,
    implies,
    meets,
    read,
)

PATTERNS = st.text("ab*?", min_size=1, max_size=5)
TEXTS = ["".join(one) for length in range(6) for one in itertools.product("abc", repeat=length)]


def matching(pattern: str) -> set[str]:
    """Every short text that matches a pattern, by Python's regular expressions."""
    expression = pattern.replace("?", ".").replace("*", ".*")
    return {text for text in TEXTS if re.fullmatch(expression, text)}


@given(PATTERNS, PATTERNS)
def test_a_pattern_said_to_cover_another_matches_all_that_it_matches(
    wide: str, narrow: str
) -> None:
    assert not covers(wide, narrow) or matching(narrow) <= matching(wide)


@given(PATTERNS, PATTERNS)
def test_patterns_said_to_have_nothing_in_common_have_nothing(one: str, other: str) -> None:
    assert meets(one, other) or not matching(one) & matching(other)


@given(PATTERNS)
def test_every_pattern_covers_and_meets_itself(pattern: str) -> None:
    assert covers(pattern, pattern)
    assert meets(pattern, pattern)


@pytest.mark.parametrize(
    ("wide", "narrow", "expected"),
    [
        ("iam:*", "iam:GetRole", True),
        ("iam:*", "iam:*Role", True),
        ("iam:*Role", "iam:*", False),
        ("iam:Get*", "iam:Get", True),
        ("iam:Get?*", "iam:Get", False),
        ("*?", "?*", True),
        ("*?", "ab", True),
        ("**", "ab", True),
        ("??", "a", False),
        ("a*b*c", "a*c", False),
        ("a*c", "a*b*c", True),
        ("role/sallyport/*", "role/sallyport-admin", False),
        ("role/sallyport/*", "role/Sallyport/x", False),
        ("?", "*", False),
    ],
)
def test_covers(wide: str, narrow: str, expected: bool) -> None:
    assert covers(wide, narrow) is expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("iam:Get*", "iam:*Role", True),
        ("iam:Get*", "iam:Put*", False),
        ("role/a/*", "role/*/b", True),
        ("abc", "a?c", True),
        ("abc", "a?", False),
        ("*", "anything", True),
    ],
)
def test_meets(one: str, other: str, expected: bool) -> None:
    assert meets(one, other) is expected
    assert meets(other, one) is expected


def test_an_inverted_selector_covers_what_it_does_not_name() -> None:
    services = actions(("iam:*", "sts:*"), inverted=True)
    assert services.covers(actions(("s3:*",)))
    assert not services.covers(actions(("iam:GetRole",)))
    assert not services.covers(actions(("*",)))
    assert services.covers(actions(("sts:*", "i?m:*"), inverted=True))
    assert not services.covers(actions(("sts:*",), inverted=True))
    assert EVERYTHING.covers(services)
    assert not actions(("s3:*",)).covers(services)


def test_an_inverted_selector_meets_all_but_what_it_names() -> None:
    services = actions(("iam:*", "sts:*"), inverted=True)
    assert services.meets(actions(("*",)))
    assert services.meets(actions(("ec2:*",), inverted=True))
    assert not services.meets(actions(("iam:GetRole",)))
    assert not actions(("iam:GetRole",)).meets(services)


def test_a_selector_of_several_patterns_is_all_of_them() -> None:
    several = Selector(("a*", "b*"))
    assert several.covers(Selector(("ab",)))
    assert several.meets(Selector(("bc",)))
    assert not several.covers(Selector(("ab", "c")))
    assert Selector(("a*",), inverted=True).meets(several)


def test_a_statement_touches_what_any_of_its_actions_and_resources_meets() -> None:
    many = READABLE | {"Action": ["s3:*", "iam:Get*"], "Resource": ["role/x", "role/sallyport/*"]}
    (statement,) = read({"Statement": many}).statements
    assert statement.touches(actions(("iam:GetRole",)), Selector(("role/*/a",)))
    assert not statement.touches(actions(("iam:PutRole",)), EVERYTHING)
    assert not statement.touches(actions(("iam:GetRole",)), Selector(("group/*",)))


@pytest.mark.parametrize("principal", [[], {}, 7, None, "someone", {"AWS": []}, {"AWS": {"x": 1}}])
def test_a_malformed_principal_is_not_read(principal: object) -> None:
    raw = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}
    reading = read({"Statement": raw}, trust=True)
    assert not reading.statements
    assert len(reading.unread) == 1


def test_actions_are_compared_without_regard_to_case_and_shown_as_written() -> None:
    assert actions(("IAM:getrole",)) == actions(("iam:GetRole",))
    assert str(actions(("iam:GetRole",))) == "iam:GetRole"
    assert str(actions(("iam:*", "sts:*"), inverted=True)) == "everything but iam:*, sts:*"
    assert not Selector(("role/Dev",)).covers(Selector(("role/dev",)))


@pytest.mark.parametrize(
    ("strict", "weak", "expected"),
    [
        ({}, {}, True),
        ({("StringEquals", "k"): {"a"}}, {}, True),
        ({}, {("StringEquals", "k"): {"a"}}, False),
        ({("StringEquals", "k"): {"a"}}, {("StringEquals", "k"): {"a", "b"}}, True),
        ({("StringEquals", "k"): {"a", "b"}}, {("StringEquals", "k"): {"a"}}, False),
        ({("ArnLike", "k"): {"arn:x/y"}}, {("ArnLike", "k"): {"arn:x/*"}}, True),
        ({("ArnLike", "k"): {"arn:*"}}, {("ArnLike", "k"): {"arn:x/*"}}, False),
        ({("ArnLike", "k"): {"arn:x/y"}}, {("ArnLike", "k"): {"arn:x/*", "arn:z/*"}}, True),
        ({("ArnLike", "k"): {"arn:x/y", "arn:z/y"}}, {("ArnLike", "k"): {"arn:x/*"}}, False),
        ({("StringEquals", "k"): {"a*"}}, {("StringEquals", "k"): {"*"}}, False),
        ({("StringNotEquals", "k"): {"a"}}, {("StringNotEquals", "k"): {"a", "b"}}, False),
        ({("StringEqualsIfExists", "k"): {"a"}}, {("StringEquals", "k"): {"a"}}, False),
        ({("Bool", "k"): {"true"}}, {("Bool", "k"): {"true"}}, True),
        (
            {("ForAllValues:StringLike", "k"): {"a:b"}},
            {("ForAllValues:StringLike", "k"): {"a:*"}},
            True,
        ),
    ],
)
def test_implies(
    strict: dict[tuple[str, str], set[str]], weak: dict[tuple[str, str], set[str]], expected: bool
) -> None:
    frozen = [{key: frozenset(value) for key, value in one.items()} for one in (strict, weak)]
    assert implies(*frozen) is expected


READABLE = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}


@pytest.mark.parametrize(
    "change",
    [
        {"Effect": "Maybe"},
        {"Principal": "*"},
        {"NotPrincipal": {"AWS": "*"}},
        {"NotAction": "iam:*"},
        {"NotResource": "arn:aws:s3:::x"},
        {"Action": []},
        {"Action": [7]},
        {"Action": ["s3:GetObject", 7]},
        {"Resource": ["arn:aws:s3:::x", "arn:aws:s3:::${aws:username}"]},
        {"Action": None},
        {"Action": {"a": "b"}},
        {"Resource": ""},
        {"Resource": "a" * (PATTERN_LIMIT + 1)},
        {"Resource": "arn:aws:iam::111111111111:user/${aws:username}"},
        {"Condition": []},
        {"Condition": {"StringEquals": "x"}},
        {"Condition": {"StringEquals": {"k": [None]}}},
        {"Condition": {"StringEquals": {"aws:X": "a", "AWS:x": "b"}}},
        {"Surprise": 1},
    ],
)
def test_a_statement_with_anything_unknown_is_not_read(change: dict[str, object]) -> None:
    reading = read({"Statement": [READABLE | change, READABLE]})
    assert len(reading.statements) == 1
    assert len(reading.unread) == 1
    assert reading.unread[0].startswith("Statement 1 cannot be judged: ")


@pytest.mark.parametrize(
    "document",
    [{}, {"Version": "2012-10-17"}, {"Statement": None}, {"Statement": "x"}, {"Statement": [3]}],
)
def test_a_document_without_statements_is_not_read(document: dict[str, object]) -> None:
    assert read(document).unread
    assert not read(document).statements


def test_a_lone_statement_and_lone_texts_are_read_as_lists() -> None:
    (statement,) = read({"Statement": READABLE}).allows
    assert list(statement.points()) == [(actions(("s3:GetObject",)), EVERYTHING)]


def test_labels_say_where_a_statement_stands() -> None:
    sid = READABLE | {"Sid": "One"}
    nasty = READABLE | {"Sid": "line\nbreak"}
    labels = [one.label for one in read({"Statement": [sid, nasty]}, {"Statement": sid}).statements]
    assert labels == ["“One” of policy 1", "Statement 2 of policy 1", "“One” of policy 2"]


def test_a_whole_account_is_read_alike_however_it_is_written() -> None:
    def principals(principal: object) -> tuple[str, ...]:
        raw = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}
        return read({"Statement": raw}, trust=True).statements[0].principals

    root = "arn:aws-cn:iam::111111111111:root"
    assert principals({"AWS": "111111111111"}) == principals({"AWS": root})
    assert principals("*") == principals({"AWS": "*"}) == ("*",)
    assert principals({"Service": ["ec2.amazonaws.com"]}) == ("Service ec2.amazonaws.com",)


def test_long_patterns_full_of_stars_are_compared_in_reasonable_time() -> None:
    hostile = "a*" * (PATTERN_LIMIT // 2)
    assert covers(hostile, hostile)
    assert not covers(hostile, "a" * (PATTERN_LIMIT // 2 - 1))
