"""Names of what Sallyport makes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.core import naming

CODE = "k3v9m2x7q4ab"
names = st.text("ABCDEFXYZabcxyz0189_+=,.@-", min_size=1, max_size=64)


def test_classic_role_name_is_whole() -> None:
    name = naming.role_name("SecurityReadOnlyRole", "userA", CODE)

    assert name == "SecurityReadOnlyRole-userA-k3v9m2x7q4ab"


@given(role=names, user=names)
def test_path_and_name_fit_the_console_and_keep_the_code(role: str, user: str) -> None:
    name = naming.role_name(role, user, CODE)

    assert len(naming.PATH) + len(name) <= 64
    assert name.endswith(f"-{CODE}")
    assert name[0] == role[0]


@pytest.mark.parametrize(
    ("role", "user", "expected"),
    [
        ("R" * 32, "userA", "R" * 32 + "-userA-" + CODE),
        ("R" * 32, "u" * 64, "R" * 31 + "-uuuuuuuu-" + CODE),
        ("Role", "u" * 64, "Role-" + "u" * 35 + "-" + CODE),
    ],
)
def test_the_user_is_cut_before_the_role(role: str, user: str, expected: str) -> None:
    name = naming.role_name(role, user, CODE)

    assert name == expected


def test_code_alphabet_has_no_letters_that_look_alike_and_is_lower_case() -> None:
    assert len(set(naming.CODE_ALPHABET)) == 32
    assert naming.CODE_ALPHABET.lower() == naming.CODE_ALPHABET
    assert not set("lo01") & set(naming.CODE_ALPHABET)


def test_policy_arns_follow_the_partition_and_keep_the_path() -> None:
    assert (
        naming.managed_policy_arn("aws-cn", "job-function/ViewOnlyAccess")
        == "arn:aws-cn:iam::aws:policy/job-function/ViewOnlyAccess"
    )
