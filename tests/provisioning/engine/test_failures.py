"""A failure tells people what to do about it."""

import pytest

from provisioning.aws.errors import AwsError, Kind
from provisioning.core.plan import ForeignObject
from provisioning.engine.failures import in_words, not_converging


@pytest.mark.parametrize(
    ("kind", "code", "message", "told"),
    [
        (Kind.PERMANENT, "AccessDenied", "Not authorized.", "Run Check connection"),
        (Kind.PERMANENT, "LimitExceeded", "Quota RolesPerAccount: 1000", "RolesPerAccount"),
        (Kind.PERMANENT, "InvalidClientTokenId", "Invalid.", "renew them for the workers"),
        (Kind.TRANSIENT, "Throttling", "Rate exceeded", "slows down by itself"),
        (Kind.TRANSIENT, "SignatureDoesNotMatch", "Signature expired: 20261124", "clock"),
        (Kind.UNKNOWN_YET, "MalformedPolicyDocument", "Invalid principal", "link the person anew"),
        (Kind.TRANSIENT, "EndpointConnectionError", "Could not connect", "look at its network"),
    ],
)
def test_a_failure_names_the_call_awss_words_and_what_to_do(
    kind: Kind, code: str, message: str, told: str
) -> None:
    words = in_words(AwsError(kind, call="iam:CreateRole", code=code, message=message))

    assert words.startswith(f"iam:CreateRole was answered {code}: {message}")
    assert told in words


def test_a_failure_that_nobody_foresaw_is_told_in_awss_words() -> None:
    error = AwsError(Kind.PERMANENT, call="iam:GetRole", code="Strange", message="Something.")

    assert in_words(error) == "iam:GetRole was answered Strange: Something."


def test_what_is_not_ours_is_left_to_people() -> None:
    words = in_words(ForeignObject("A group named x exists outside /sallyport/."))

    assert "Sallyport does not touch it. Rename or remove it" in words


def test_changes_that_do_not_show_yet_are_looked_for_again() -> None:
    assert not_converging().kind is Kind.TRANSIENT
