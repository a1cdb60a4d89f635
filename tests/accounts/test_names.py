"""Names that AWS takes, and conventions that two layers must agree on. No database."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError

from accounts import aws_names, inline_policy
from accounts.templatetags.registry import duration
from provisioning.core import documents, onboarding

ACCOUNT = "012345678901"


@pytest.mark.parametrize("partition", list(aws_names.STS_REGION))
def test_the_registry_and_the_template_agree_on_names(partition: str) -> None:
    role = aws_names.provisioner_role_arn(partition, ACCOUNT)
    assert role == onboarding.provisioner_role_arn(partition, ACCOUNT)
    boundary = aws_names.boundary_arn(partition, ACCOUNT)
    assert boundary == onboarding.boundary_arn(partition, ACCOUNT)
    aws_names.validate_role_arn(role)
    aws_names.validate_policy_arn(boundary)


def test_the_registry_and_the_template_agree_on_group_policies() -> None:
    assert aws_names.GROUP_POLICIES == onboarding.GROUP_POLICIES


def test_a_pair_that_shares_no_switch_group_gets_one_named_after_its_target() -> None:
    assert aws_names.default_switch_group("012345678901") == "switch-to-012345678901"


def test_an_inline_policy_leaves_room_for_the_policies_that_end_access() -> None:
    end = documents.dated_deny("2026-11-23T22:15:00Z")
    own = len(documents.dumps(end)) + len(documents.dumps(documents.deny_all()))
    assert inline_policy.MAX_SIZE + own <= 10_240


@pytest.mark.parametrize("name", ["a", "x" * 64, "Aa0_+=,.@-"])
def test_what_aws_takes_as_a_user_name_is_taken(name: str) -> None:
    aws_names.validate_user_name(name)


@pytest.mark.parametrize("name", ["", "x" * 65, "a b", "a/b", "é", "a\n", "a\x00", "ａ"])  # noqa: RUF001  # A full-width letter.
def test_what_aws_refuses_as_a_user_name_is_refused(name: str) -> None:
    with pytest.raises(ValidationError) as caught:
        aws_names.validate_user_name(name)
    assert caught.value.code == "malformed_user_name"


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:iam::12345678901:role/x",
        "arn:aws:iam::123456789012:role/",
        "arn:aws:iam::123456789012:role/" + "x" * 65,
        "arn:aws:iam::123456789012:role/a b",
        "arn:aws:sts::123456789012:assumed-role/x/y",
        "arn:aws-iso:iam::123456789012:role/x",
        "arn:aws:iam::123456789012:role/x\n",
        " arn:aws:iam::123456789012:role/x",
    ],
)
def test_what_is_no_role_is_refused(arn: str) -> None:
    with pytest.raises(ValidationError) as caught:
        aws_names.validate_role_arn(arn)
    assert caught.value.code == "malformed_role_arn"


def test_ten_managed_policies_are_taken_and_all_faults_are_told_at_once() -> None:
    ten = [f"Policy{number}" for number in range(10)]
    assert aws_names.managed_policy_names(ten) == ten
    with pytest.raises(ValidationError) as caught:
        aws_names.managed_policy_names([*ten, "Policy1", "no name"])
    codes = [one.code for one in caught.value.error_list]
    assert codes == ["policy_named_twice", "malformed_policy_name", "too_many_policies"]


@pytest.mark.parametrize("name", ["", "Ordinary name", "Zürich, 東京", "emoji 🚪"])
def test_one_line_of_any_language_is_taken(name: str) -> None:
    aws_names.validate_one_line(name)


@pytest.mark.parametrize("sign", ["\n", "\r", "\t", "\x00", "\x85", "\u2028", "\u202e", "\u2066"])
def test_signs_that_break_a_line_or_turn_it_round_are_refused(sign: str) -> None:
    with pytest.raises(ValidationError) as caught:
        aws_names.validate_one_line(f"a{sign}b")
    assert caught.value.code == "control_characters"


@pytest.mark.parametrize(
    ("minutes", "words"),
    [(5, "5 min"), (60, "1 h"), (90, "1 h 30 min"), (10080, "7 d"), (1501, "1 d 1 h 1 min")],
)
def test_durations_are_written_as_people_say_them(minutes: int, words: str) -> None:
    assert duration(timedelta(minutes=minutes)) == words
