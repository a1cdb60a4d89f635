"""Every failure of AWS is sorted in one place."""

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError
from botocore.parsers import ResponseParserError

from provisioning.aws.errors import AwsError, Kind, calling, sorted_error

INVALID = 'Invalid principal in policy: "AWS":"arn:aws:iam::111111111111:user/userA"'


def answer(code: str, message: str = "", status: int = 400) -> ClientError:
    return ClientError(
        {
            "Error": {"Code": code, "Message": message},
            "ResponseMetadata": {
                "HTTPStatusCode": status,
                "RequestId": "req-1",
                "HTTPHeaders": {},
                "HostId": "",
                "RetryAttempts": 0,
            },
        },
        "CreateRole",
    )


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (answer("Throttling"), Kind.TRANSIENT),
        (answer("ThrottlingException"), Kind.TRANSIENT),
        (answer("RequestLimitExceeded", status=503), Kind.TRANSIENT),
        (answer("ServiceFailure", status=500), Kind.TRANSIENT),
        (answer("SomethingNew", status=502), Kind.TRANSIENT),
        (answer("ConcurrentModification", status=409), Kind.TRANSIENT),
        (answer("EntityTemporarilyUnmodifiable", status=409), Kind.TRANSIENT),
        (answer("DeleteConflict", status=409), Kind.TRANSIENT),
        (answer("ExpiredToken", status=403), Kind.TRANSIENT),
        (answer("RequestExpired"), Kind.TRANSIENT),
        (answer("SignatureDoesNotMatch", "Signature expired: 20261124"), Kind.TRANSIENT),
        (answer("SignatureDoesNotMatch", "The request signature…", 403), Kind.PERMANENT),
        (answer("MalformedPolicyDocument", INVALID), Kind.UNKNOWN_YET),
        (answer("MalformedPolicyDocument", "Syntax errors in policy."), Kind.PERMANENT),
        (
            answer("LimitExceeded", "Cannot exceed quota for RolesPerAccount: 1000", 409),
            Kind.PERMANENT,
        ),
        (answer("AccessDenied", status=403), Kind.PERMANENT),
        (answer("InvalidClientTokenId", status=403), Kind.PERMANENT),
        (answer("NoSuchEntity", status=404), Kind.GONE),
        (answer("EntityAlreadyExists", status=409), Kind.EXISTS),
        (EndpointConnectionError(endpoint_url="https://iam.amazonaws.com"), Kind.TRANSIENT),
        (ConnectTimeoutError(endpoint_url="https://iam.amazonaws.com"), Kind.TRANSIENT),
        (ResponseParserError("Unable to parse response"), Kind.TRANSIENT),
    ],
)
def test_each_failure_says_what_can_be_done(error: Exception, kind: Kind) -> None:
    with pytest.raises(Exception, match="iam:CreateRole") as caught, calling("iam:CreateRole"):
        raise error

    assert caught.value.kind is kind  # type: ignore[attr-defined]


def test_a_sorted_error_keeps_awss_words_and_request_id() -> None:
    error = sorted_error(answer("AccessDenied", "You may not."), "iam:CreateRole")

    assert (error.code, error.message, error.request_id) == (
        "AccessDenied",
        "You may not.",
        "req-1",
    )


def test_an_answer_that_is_none_of_awss_says_nothing_about_what_aws_did() -> None:
    with pytest.raises(AwsError) as caught, calling("iam:CreateRole"):
        # As botocore does for a page that a proxy wrote.
        raise KeyError("CreateRoleResult")

    assert (caught.value.kind, caught.value.code) == (Kind.TRANSIENT, "UnreadableAnswer")
