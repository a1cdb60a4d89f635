"""What failures of AWS are called when people read them."""

from typing import Final

from provisioning.aws.errors import CLOCK, THROTTLING_CODES, AwsError, Kind
from provisioning.core.plan import ForeignObject


def in_words(error: AwsError | ForeignObject) -> str:
    """A failure as a person reads it, with what to do where we know it."""
    if isinstance(error, ForeignObject):
        return f"{error} Sallyport does not touch it. Rename or remove it, then ask again."
    return f"{error.call} was answered {error.code}: {error.message} {_hint(error)}".strip()


def _hint(error: AwsError) -> str:
    if error.kind is Kind.UNKNOWN_YET:
        return UNKNOWN_USER
    if error.message.startswith(CLOCK):
        return WRONG_CLOCK
    if error.code in THROTTLING_CODES:
        return "The account takes no more calls at the moment; Sallyport slows down by itself."
    return _HINTS.get(error.code, "")


UNKNOWN_USER: Final = (
    "AWS does not know this IAM user. One just made is known everywhere within a minute; "
    "otherwise link the person anew on the identities page."
)
WRONG_CLOCK: Final = "The clock of the worker's machine is wrong: set it, for example with NTP."
_HINTS: Final = {
    "AccessDenied": "Run Check connection on the account's page: it says which right is missing.",
    "LimitExceeded": "A quota of the account is full; AWS names it above. Remove what is not used "
    "any more, or ask AWS for a higher quota.",
    "WrongAccount": "Correct the provisioner role on the account's page.",
    "InvalidClientTokenId": "AWS does not know the portal's own keys: renew them for the workers.",
    "SignatureDoesNotMatch": "The portal's own secret key is wrong: renew it for the workers.",
    "MalformedPolicyDocument": "AWS refuses the document: look at the profile's policy.",
    "NoCredentialsError": "The worker has no AWS identity of its own (docs/settings.md).",
    "EndpointConnectionError": "The worker does not reach AWS: look at its network.",
}


def not_converging() -> AwsError:
    """AWS answered every call, but does not show what they did."""
    words = "AWS did not show the changes yet. They will be checked again."
    return AwsError(Kind.TRANSIENT, call="observe", code="NotConverging", message=words)
