"""Every failure of AWS, sorted in one place into what the caller can do about it."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

type Failure = ClientError | BotoCoreError | ResponseParserError


class Kind(StrEnum):
    """What a failure means for the work that met it."""

    TRANSIENT = "transient"
    """Try again later: throttling, outages, time-outs, replication that has not caught up."""
    PERMANENT = "permanent"
    """Trying again changes nothing: refused, malformed, a quota is full."""
    GONE = "gone"
    """The thing named does not exist; on removal that is success [AWS-FACTS 8.5]."""
    UNKNOWN_YET = "unknown yet"
    """A user that AWS may not know everywhere yet, or never again: tried for a while [4.6]."""
    EXISTS = "exists"
    """The thing to be made exists: perhaps ours, after an answer that was lost [7.5]."""


THROTTLING_CODES: Final = frozenset(
    {"Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException"}
)

TRANSIENT_CODES: Final = THROTTLING_CODES | frozenset(
    {
        "ServiceFailure",
        "ServiceUnavailable",
        "InternalFailure",
        "InternalError",
        "PolicyEvaluation",
        "ConcurrentModification",
        "EntityTemporarilyUnmodifiable",
        "DeleteConflict",
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "RequestTimeTooSkewed",
    }
)
"""botocore's standard retries cover the first group only [7.4]; the row's back-off does the rest.
DeleteConflict is here because the next plan sees what is still attached and removes it."""

INVALID_PRINCIPAL: Final = "Invalid principal in policy"
"""A user just made is unknown to other regions for up to half a minute; a deleted or misspelt one
for ever, with the same words [4.6]. So it is tried again, but not for ever."""

CLOCK: Final = "Signature expired", "Signature not yet current"
"""The words with which AWS refuses a request of a wrong clock: it passes when the clock is set."""


class AwsError(Exception):
    """One failed call: what kind of failure, which call, and AWS's own words and request id."""

    def __init__(
        self, kind: Kind, *, call: str, code: str, message: str, request_id: str = ""
    ) -> None:
        super().__init__(f"{call}: {code}: {message}")
        self.kind = kind
        self.call = call
        self.code = code
        self.message = message
        self.request_id = request_id


def sorted_error(error: Failure, call: str) -> AwsError:
    """The failure as an AwsError."""
    if not isinstance(error, ClientError):
        # No answer, or one that could not be read: it says nothing about what AWS did.
        return AwsError(Kind.TRANSIENT, call=call, code=type(error).__name__, message=str(error))
    details = error.response.get("Error", {})
    meta = error.response.get("ResponseMetadata", {})
    code, message = str(details.get("Code", "")), str(details.get("Message", ""))
    return AwsError(
        _kind(code, message, int(meta.get("HTTPStatusCode", 0))),
        call=call,
        code=code,
        message=message,
        request_id=str(meta.get("RequestId", "")),
    )


def _kind(code: str, message: str, status: int) -> Kind:
    if code == "NoSuchEntity":
        return Kind.GONE
    if code == "EntityAlreadyExists":
        return Kind.EXISTS
    if INVALID_PRINCIPAL in message:
        return Kind.UNKNOWN_YET
    if code in TRANSIENT_CODES or status >= 500 or message.startswith(CLOCK):
        return Kind.TRANSIENT
    return Kind.PERMANENT


@contextmanager
def calling(call: str) -> Iterator[None]:
    """Turn what botocore raises inside into an AwsError that names the call."""
    try:
        yield
    except (ClientError, BotoCoreError, ResponseParserError) as error:
        raise sorted_error(error, call) from error
    except KeyError as error:
        # What botocore 1.43 raises for a page of a proxy that is well-formed and no answer of AWS.
        words = "The answer could not be read; something between us and AWS may have written it."
        raise AwsError(Kind.TRANSIENT, call=call, code="UnreadableAnswer", message=words) from error
